package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

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

// typed are flags of a command, to be typed again: those that were given, or that have another value instead ("": none).
func typed(cmd *cobra.Command, instead map[string]string, names ...string) (text string) {
	for _, name := range names {
		f := cmd.Flags().Lookup(name)
		value, is := instead[name]
		if !is && f.Changed {
			value = f.Value.String()
		}
		switch {
		case value == "", value == "false":
		case f.NoOptDefVal == "":
			text += " --" + name + " " + say.Quote(value)
		case f.NoOptDefVal == value:
			text += " --" + name
		default:
			text += " --" + name + "=" + value
		}
	}
	return text
}

// timeFlag is a time as --at takes it; "" for none.
func timeFlag(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
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
