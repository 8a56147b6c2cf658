// Package meter shows the progress of something long, on a terminal or in lines.
package meter

import (
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"
)

// sameAgain is how often Lines repeats the same words.
const sameAgain = time.Minute

// OnTerminal reports whether w is a terminal, and so may be drawn on.
func OnTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Meter shows the progress of something long. It is for one goroutine. Stop it at the end.
type Meter struct {
	w io.Writer

	every time.Duration // the distance of lines
	last  time.Time     // when one was written
	words string

	bar     progress.Writer // nil: lines
	tracker *progress.Tracker
	drawn   chan struct{} // closed when the drawing has ended; nil: it has not begun
}

// Silent returns a Meter that shows only what is logged.
func Silent(w io.Writer) *Meter { return Lines(w, math.MaxInt64, math.MaxInt64) }

// Lines returns a Meter that writes the words of an update as a line: the first one after first, and
// then at most one in every. It repeats the same words once a minute: a person who waits for a day
// wants to see that it lives, but not a file full of lines.
func Lines(w io.Writer, first, every time.Duration) *Meter {
	return &Meter{w: w, every: every, last: time.Now().Add(first - every)}
}

// Bar returns a Meter that draws in place on a terminal.
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
