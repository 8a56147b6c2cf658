package main

import (
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

// demoProgress shows how far the demo is.
type demoProgress interface {
	show(s demoState)
	end()
}

func (d *demo) newProgress() demoProgress {
	if d.drawn == nil {
		return &plainProgress{w: d.err, began: time.Now()}
	}
	return newBar(d.drawn)
}

// plainProgress writes a line now and then.
type plainProgress struct {
	w           io.Writer
	began, last time.Time
	said        string
}

func (p *plainProgress) show(s demoState) {
	const every = time.Second
	now := time.Now()
	if !s.over && now.Sub(p.last) < every {
		return
	}
	p.last = now
	if line := progressLine(s); line != p.said {
		p.said = line
		fmt.Fprintf(p.w, "%4.1fs  %s\n", now.Sub(p.began).Seconds(), line)
	}
}

func (p *plainProgress) end() {}

func progressLine(s demoState) string {
	return fmt.Sprintf("%d of %s succeeded, %s sent%s", s.Succeeded, count(s.Total, "call"), count(s.requests, "request"), waitingWords(s))
}

func waitingWords(s demoState) (words string) {
	if s.HeldChains > 0 {
		words += fmt.Sprintf(", %d held", s.HeldChains)
	}
	if n := len(s.tomorrow); n > 0 {
		words += fmt.Sprintf(", %d for tomorrow", n)
	}
	return words
}

// bar draws on a terminal.
type bar struct {
	writer  progress.Writer
	tracker *progress.Tracker
	done    chan struct{} // drawing ended
}

func newBar(w io.Writer) *bar {
	b := &bar{writer: progress.NewWriter(), tracker: &progress.Tracker{Message: "calls"}, done: make(chan struct{})}
	b.writer.SetOutputWriter(w)
	b.writer.SetUpdateFrequency(100 * time.Millisecond)
	b.writer.SetTrackerLength(16)
	b.writer.SetTrackerPosition(progress.PositionRight)
	b.writer.Style().Visibility.ETA = false
	b.writer.Style().Visibility.Speed = false
	b.writer.Style().Visibility.Value = false
	b.writer.AppendTracker(b.tracker)
	go func() {
		defer close(b.done)
		b.writer.Render()
	}()
	return b
}

func (b *bar) show(s demoState) {
	b.tracker.UpdateMessage(fmt.Sprintf("%d of %s%s", s.Succeeded, count(s.Total, "call"), waitingWords(s)))
	b.tracker.UpdateTotal(int64(s.Total))
	b.tracker.SetValue(int64(s.Ended()))
}

func (b *bar) end() {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		b.writer.Stop() // has no effect before the drawing began
		select {
		case <-b.done:
			return
		case <-tick.C:
		}
	}
}
