package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"habilita/internal/control"
)

// terminal reports whether w is one, and so may be drawn on.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// writeJSON writes v on a line of its own.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// local is a time as people of the vendor's zone read it.
func local(t control.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	if zone != nil {
		t.Time = t.In(zone)
	}
	return t.Format("2006-01-02 15:04:05 -07")
}

// count is a number with a noun: "1 call", "1,234 calls".
func count(n int, noun string) string { return plural(n, noun, noun+"s") }

// plural is a number with the words for one or for several.
func plural(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + several
}

// part is a number of something.
type part struct {
	n    int
	what string
}

// listParts are the parts that are not 0.
func listParts(all ...part) string {
	var parts []string
	for _, p := range all {
		if p.n > 0 {
			parts = append(parts, thousands(p.n)+" "+p.what)
		}
	}
	return strings.Join(parts, ", ")
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// quoteArg writes an argument as a shell takes it.
func quoteArg(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/:=@%+,", r)
	}
	if s != "" && !strings.HasPrefix(s, "-") && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// counts is a status on one line.
func counts(s control.Status) string {
	words := fmt.Sprintf("%s of %s succeeded", thousands(s.Succeeded), thousands(s.Total))
	held := part{s.HeldChains, "chains held"}
	if held.n == 1 {
		held.what = "chain held"
	}
	if others := listParts(part{s.Failed, "failed"}, part{s.Skipped, "skipped"}, part{s.Cancelled, "cancelled"}, part{s.Open, "open"}, held); others != "" {
		words += ", " + others
	}
	return words
}

// next is what a person can do about a settled batch, and what there is to say of its
// canaries; "" for nothing.
func next(s control.Status) string {
	words := canaryWords(s)
	if s.HeldChains == 0 {
		return words
	}
	if words != "" {
		words += "\n"
	}
	return words + "next: enqueue chains --held   (why, and what to type)"
}
