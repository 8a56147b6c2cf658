// Package say is how both commands talk to people: numbers with their nouns, arguments that can
// be typed again, and progress.
package say

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"
)

// Count is a number with a noun: "1 call", "1,234 calls".
func Count(n int, noun string) string { return Plural(n, noun, noun+"s") }

// Plural is a number with the words for one or for several.
func Plural(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return Thousands(n) + " " + several
}

// Thousands is a number with commas: "1,234".
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Some is a number of something: "3 failed"; "" for none.
func Some(n int, what string) string {
	if n <= 0 {
		return ""
	}
	return Thousands(n) + " " + what
}

// List joins the texts that are not empty: "3 failed, 1 open".
func List(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), ", ")
}

// Quote writes an argument as a shell takes it.
func Quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/:=@%+,", r)
	}
	if s != "" && !strings.HasPrefix(s, "-") && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// File writes a file's name as an argument: one that begins with a dash is no flag. "-" is
// standard input.
func File(name string) string {
	if len(name) > 1 && name[0] == '-' {
		name = "./" + name
	}
	if name == "-" {
		return name
	}
	return Quote(name)
}

// sameAgain is how often lines say the same again.
const sameAgain = time.Minute

// OnTerminal reports whether w is a terminal, and so may be drawn on.
func OnTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Meter shows how something long goes on. It is for one goroutine. Stop it.
type Meter struct {
	w io.Writer

	every time.Duration // the distance of lines
	last  time.Time     // when one was written
	words string

	bar     progress.Writer // nil: lines
	tracker *progress.Tracker
	drawn   chan struct{} // closed when the drawing has ended; nil: it has not begun
}

// Silent shows nothing but what is logged.
func Silent(w io.Writer) *Meter { return Lines(w, math.MaxInt64, math.MaxInt64) }

// Lines writes the words of an update as a line: the first one after a time, and then at most one
// in every. It says the same again once a minute: a person who waits for a day wants to see that it
// lives, and no file full of it.
func Lines(w io.Writer, first, every time.Duration) *Meter {
	return &Meter{w: w, every: every, last: time.Now().Add(first - every)}
}

// Bar draws in place on a terminal.
func Bar(w io.Writer, units progress.Units) *Meter {
	m := &Meter{w: w, bar: progress.NewWriter(), tracker: &progress.Tracker{Units: units, AutoStopDisabled: true}}
	m.bar.SetOutputWriter(w)
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 1 {
			m.bar.SetTerminalWidth(width - 1)
		}
	}
	m.bar.SetTrackerLength(24)
	m.bar.SetTrackerPosition(progress.PositionRight)
	m.bar.SetUpdateFrequency(100 * time.Millisecond)
	m.bar.Style().Visibility.ETA = true
	m.bar.Style().Visibility.TrackerOverall = false
	m.bar.Style().Options.ETAPrecision = time.Second
	m.bar.Style().Options.TimeInProgressPrecision = time.Second
	return m
}

// Update says how much is done of total (0: not known), in words too.
func (m *Meter) Update(done, total int64, words string) {
	if m.bar != nil {
		if total > 0 {
			m.tracker.UpdateTotal(total)
		}
		m.tracker.UpdateMessage(words)
		m.tracker.SetValue(done)
		m.draw()
		return
	}
	now := time.Now()
	if since := now.Sub(m.last); since < m.every || words == m.words && since < sameAgain {
		return
	}
	m.last, m.words = now, words
	fmt.Fprintln(m.w, words)
}

// Log writes a line that stays.
func (m *Meter) Log(line string) {
	if m.bar == nil {
		fmt.Fprintln(m.w, line)
		return
	}
	m.draw()
	m.bar.Log("%s", line)
}

func (m *Meter) draw() {
	if m.drawn != nil {
		return
	}
	m.bar.AppendTracker(m.tracker)
	m.drawn = make(chan struct{})
	go func() {
		defer close(m.drawn)
		m.bar.Render()
	}()
}

// Stop draws the last state. Nothing may be called after it.
func (m *Meter) Stop() {
	if m.drawn == nil {
		return
	}
	m.tracker.MarkAsDone()
	// Render forgets a Stop that comes before it has begun, so it is told again.
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		m.bar.Stop()
		select {
		case <-m.drawn:
			return
		case <-again.C:
		}
	}
}
