package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"habilita/internal/control"
	"habilita/internal/say"
)

// writeJSON writes v on a line of its own.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// local is a time as people of a zone read it.
func local(t control.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	if zone != nil {
		t.Time = t.In(zone)
	}
	return t.Format("2006-01-02 15:04:05 -07")
}

func (a *app) local(t control.Time) string { return local(t, a.zone) }

// given is a flag of a command to be typed, with its value; "" if it was not given.
func given(flag string, value any) string {
	switch v := value.(type) {
	case bool:
		if v {
			return " --" + flag
		}
	case int:
		if v > 0 {
			return fmt.Sprintf(" --%s %d", flag, v)
		}
	case string:
		if v != "" {
			return " --" + flag + " " + say.Quote(v)
		}
	case time.Time:
		if !v.IsZero() {
			return " --" + flag + " " + v.Format(time.RFC3339Nano)
		}
	}
	return ""
}

// unless is a value, or "" if it is the default.
func unless(usual, value string) string {
	if value == usual {
		return ""
	}
	return value
}

// counts is a status on one line.
func counts(s control.Status) string {
	held := ""
	if s.HeldChains > 0 {
		held = say.Plural(s.HeldChains, "chain held", "chains held")
	}
	return say.List(fmt.Sprintf("%s of %s succeeded", say.Thousands(s.Succeeded), say.Thousands(s.Total)),
		say.Some(s.Failed, "failed"), say.Some(s.Skipped, "skipped"), say.Some(s.Cancelled, "cancelled"), say.Some(s.Open, "open"), held)
}

// next is what a person can do about a settled batch, and what there is to say of its
// canaries; "" for nothing.
func next(s control.Status) string {
	words := canaryWords(s)
	if s.HeldChains > 0 {
		words += "\nnext: enqueue chains --held   (why, and what to type)"
	}
	return strings.TrimPrefix(words, "\n")
}
