package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"
)

// plainEvery is the distance of plain progress lines.
const plainEvery = 3 * time.Second

// sameAgain is the distance of plain progress lines that say the same.
const sameAgain = time.Minute

// meter shows how something long goes on.
type meter interface {
	// update says how much is done of total (0: not known), in words too.
	update(done, total int64, words string)
	// log writes a line that stays.
	log(line string)
	// stop draws the last state. Nothing may be called after it.
	stop()
}

// newMeter makes the meter of --progress: auto, plain or none.
func newMeter(mode string, w io.Writer, units progress.Units) (meter, error) {
	switch {
	case mode == "auto" && terminal(w):
		return newBar(w.(*os.File), units), nil
	case mode == "auto", mode == "plain":
		return &lines{w: w, every: plainEvery, last: time.Now()}, nil
	case mode == "none":
		return silent{w}, nil
	}
	return nil, usagef("--progress %q is not one of auto, plain, none", mode)
}

// silent shows nothing but what is logged.
type silent struct{ w io.Writer }

func (silent) update(int64, int64, string) {}
func (q silent) log(line string)           { fmt.Fprintln(q.w, line) }
func (silent) stop()                       {}

// lines writes the words of an update as a line, at most one in every, and the same again once
// in a while only: who waits for a day wants to see that it lives, and no file full of it.
type lines struct {
	w     io.Writer
	every time.Duration
	last  time.Time
	words string
}

func (l *lines) update(_, _ int64, words string) {
	now := time.Now()
	if since := now.Sub(l.last); since < l.every || words == l.words && since < sameAgain {
		return
	}
	l.last, l.words = now, words
	fmt.Fprintln(l.w, words)
}

func (l *lines) log(line string) { fmt.Fprintln(l.w, line) }
func (*lines) stop()             {}

// bar draws in place on a terminal. It is for one goroutine.
type bar struct {
	p       progress.Writer
	tracker *progress.Tracker
	started bool
	done    chan struct{} // closed when the drawing has ended
}

func newBar(f *os.File, units progress.Units) *bar {
	b := &bar{p: progress.NewWriter(), done: make(chan struct{})}
	b.tracker = &progress.Tracker{Units: units, AutoStopDisabled: true}
	b.p.SetOutputWriter(f)
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 1 {
		b.p.SetTerminalWidth(width - 1)
	}
	b.p.SetTrackerLength(24)
	b.p.SetTrackerPosition(progress.PositionRight)
	b.p.SetUpdateFrequency(100 * time.Millisecond)
	b.p.Style().Visibility.ETA = true
	b.p.Style().Visibility.TrackerOverall = false
	b.p.Style().Options.ETAPrecision = time.Second
	b.p.Style().Options.TimeInProgressPrecision = time.Second
	return b
}

func (b *bar) start() {
	if b.started {
		return
	}
	b.started = true
	b.p.AppendTracker(b.tracker)
	go func() {
		defer close(b.done)
		b.p.Render()
	}()
}

func (b *bar) update(done, total int64, words string) {
	if total > 0 {
		b.tracker.UpdateTotal(total)
	}
	b.tracker.UpdateMessage(words)
	b.tracker.SetValue(done)
	b.start()
}

func (b *bar) log(line string) {
	b.start()
	b.p.Log("%s", line)
}

func (b *bar) stop() {
	if !b.started {
		return
	}
	b.tracker.MarkAsDone()
	// Render forgets a Stop that comes before it has begun, so it is told again.
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		b.p.Stop()
		select {
		case <-b.done:
			return
		case <-again.C:
		}
	}
}
