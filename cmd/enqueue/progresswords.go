package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"habilita/internal/control"
)

// progressOf is how a batch gets on, on one line.
func progressOf(p control.Progress, zone *time.Location) string {
	words := counts(p.Status)
	if p.Rate > 0 {
		words += fmt.Sprintf("; %s/s", number(p.Rate))
		if p.ETASeconds != nil && *p.ETASeconds > 0 {
			words += ", " + inWords(spanOf(*p.ETASeconds)) + " to go"
		}
	}
	var parts []string
	for _, w := range p.Waiting {
		if w.Reason != "held" { // counts has those
			part := fmt.Sprintf("%s %s", w.Reason, thousands(w.Chains))
			if !w.Until.IsZero() {
				part += " (until " + local(w.Until, zone) + ")"
			}
			parts = append(parts, part)
		}
	}
	if len(parts) > 0 {
		words += "; waiting"
		if p.Sampled {
			words += " (sample)"
		}
		words += ": " + strings.Join(parts, ", ")
	}
	if len(p.LastErrors) > 0 {
		words += "; last errors: " + strings.Join(p.LastErrors, " | ")
	}
	return words
}

// number is a rate with as many digits as are of use.
func number(v float64) string {
	if v >= 10 {
		return thousands(int(math.Round(v)))
	}
	return fmt.Sprintf("%.1f", v)
}

// spanOf is a time that is no longer than what a Duration holds.
func spanOf(s float64) time.Duration {
	return time.Duration(min(s*float64(time.Second), math.MaxInt64/2))
}

// inWords is a duration to the second, with days where there are any.
func inWords(d time.Duration) string {
	d = d.Round(time.Second)
	days := d / (24 * time.Hour)
	if days == 0 {
		return d.String()
	}
	return fmt.Sprintf("%dd%s", days, d%(24*time.Hour))
}
