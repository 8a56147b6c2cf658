package main

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"habilita/e2e"
)

type testingTB = testing.TB

// row is a line of the table: one fault and its dose.
type row struct {
	name  string
	dose  string // "100 kills"
	units []func(u *unit)
	// took is roughly how long a unit takes: the longest start first.
	took time.Duration
	// alone is for units that use all processors.
	alone bool
	// hosts is for units that make hosts: see e2e.OwnNetwork.
	hosts bool
	// recovery says what is measured as the time of recovery; "": nothing.
	recovery string

	sum sum
}

// unit is a part of a row's dose.
type unit struct {
	testing.TB
	full bool
	rand *rand.Rand
	sum  sum
}

// judged adds a verdict, and the leaks that were found, to the unit's sum.
func (u *unit) judged(v e2e.Verdict, leaks []string) {
	for _, line := range slices.Concat(v.Broken, leaks) {
		u.Log(line)
	}
	for promise, n := range v.Counts {
		u.sum.breaks(promise, n)
	}
	u.sum.breaks("I7", len(leaks))
	u.sum.calls += v.Calls
	u.sum.requests += v.Requests
	u.sum.extra += v.Extra
	u.sum.unknown += v.Unknown + v.Unrecorded
}

// between draws a random time.
func (u *unit) between(least, most time.Duration) time.Duration {
	return least + time.Duration(u.rand.Int64N(int64(most-least)+1))
}

// sum is the result of units.
type sum struct {
	calls, requests, extra, unknown int
	broken                          map[string]int
	failed                          int // units that did not finish
	recovery                        []time.Duration
	notes                           []string
}

func (s *sum) add(o sum) {
	s.calls += o.calls
	s.requests += o.requests
	s.extra += o.extra
	s.unknown += o.unknown
	s.failed += o.failed
	s.recovery = append(s.recovery, o.recovery...)
	s.notes = append(s.notes, o.notes...)
	for p, n := range o.broken {
		s.breaks(p, n)
	}
}

func (s *sum) breaks(promise string, n int) {
	if n > 0 && s.broken == nil {
		s.broken = map[string]int{}
	}
	if n > 0 {
		s.broken[promise] += n
	}
}

func (s *sum) note(format string, a ...any) { s.notes = append(s.notes, fmt.Sprintf(format, a...)) }

func (s *sum) kept() bool { return len(s.broken) == 0 && s.failed == 0 }

// line returns the sum in a line, for people who wait.
func (s *sum) line() string {
	text := fmt.Sprintf("%d calls, %d requests, %d extra of %d unknown", s.calls, s.requests, s.extra, s.unknown)
	if s.calls == 0 {
		text = "done"
	}
	if len(s.broken) > 0 {
		text += fmt.Sprintf(", BROKEN: %v", s.broken)
	}
	if s.failed > 0 {
		text += ", FAILED"
	}
	return text
}

// times returns the median and the longest of the recoveries; "": none were measured.
func (s *sum) times() string {
	if len(s.recovery) == 0 {
		return "–"
	}
	all := slices.Sorted(slices.Values(s.recovery))
	return fmt.Sprintf("%.2f / %.2f s", all[len(all)/2].Seconds(), all[len(all)-1].Seconds())
}

func byLength(rows []*row) []*row {
	sorted := slices.Clone(rows)
	slices.SortStableFunc(sorted, func(a, b *row) int { return -cmp.Compare(a.took, b.took) })
	return sorted
}

func seedOf(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return h.Sum64()
}

// split divides n among units that get no more than most each.
func split(n, most int) []int {
	var parts []int
	for units := (n + most - 1) / most; units > 0; units-- {
		part := (n + units - 1) / units
		parts, n = append(parts, part), n-part
	}
	return parts
}

// shared makes a unit for each part of n.
func shared(n, most int, f func(u *unit, n int)) []func(u *unit) {
	var units []func(u *unit)
	for _, part := range split(n, most) {
		units = append(units, func(u *unit) { f(u, part) })
	}
	return units
}

// printTable prints the rows as a table in Markdown.
func printTable(w io.Writer, rows []*row) {
	lines := [][]string{{"fault", "dose", "calls", "requests", "extra / unknown", "I1 I2 I3 I4 I5 I6 I7", "recovery, median / longest", "verdict"}}
	for _, r := range rows {
		s := &r.sum
		calls, requests, extra := fmt.Sprint(s.calls), fmt.Sprint(s.requests), fmt.Sprintf("%d / %d", s.extra, s.unknown)
		if s.requests == 0 {
			requests, extra = "–", "–"
		}
		if s.calls == 0 {
			calls = "–"
		}
		var violations []string
		for i := range 7 {
			violations = append(violations, fmt.Sprint(s.broken[fmt.Sprint("I", i+1)]))
		}
		recovery := s.times()
		if r.recovery != "" && len(s.recovery) > 0 {
			recovery += ": " + r.recovery
		}
		verdict := "kept"
		switch {
		case len(s.broken) > 0:
			verdict = "BROKEN"
		case s.failed > 0:
			verdict = fmt.Sprintf("FAILED (%d)", s.failed)
		}
		lines = append(lines, []string{r.name, r.dose, calls, requests, extra, strings.Join(violations, " "), recovery, verdict})
	}
	width := make([]int, len(lines[0]))
	for _, l := range lines {
		for i, cell := range l {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	pad := func(cell string, i int) string { return cell + strings.Repeat(" ", width[i]-len([]rune(cell))) }
	for n, l := range lines {
		cells, rule := make([]string, len(l)), make([]string, len(l))
		for i, cell := range l {
			cells[i], rule[i] = pad(cell, i), strings.Repeat("-", width[i])
		}
		_, _ = fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
		if n == 0 {
			_, _ = fmt.Fprintf(w, "| %s |\n", strings.Join(rule, " | "))
		}
	}
	_, _ = fmt.Fprintln(w)
	for _, r := range rows {
		seen := map[string]int{}
		for _, n := range r.sum.notes {
			seen[n]++
		}
		for _, n := range slices.Sorted(maps.Keys(seen)) {
			times := ""
			if seen[n] > 1 {
				times = fmt.Sprintf(" (%d times)", seen[n])
			}
			_, _ = fmt.Fprintf(w, "- %s: %s%s\n", r.name, n, times)
		}
	}
}
