package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"habilita/internal/ledger"
)

// timers knows when each bucket needs a dispatch next, as far as this process put chains off
// or looked at them. It takes the same memory however many chains wait.
type timers struct {
	mu   sync.Mutex
	at   [ledger.Buckets]time.Time // by the clock of Redis; zero: not by itself
	news chan struct{}
}

func newTimers() *timers { return &timers{news: make(chan struct{}, 1)} }

// note says that a bucket needs a dispatch at a time, if not before. Zero: says nothing.
func (d *timers) note(tag string, at time.Time) {
	i := ledger.TagIndex(tag)
	if at.IsZero() || i < 0 {
		return
	}
	d.mu.Lock()
	earlier := d.at[i].IsZero() || at.Before(d.at[i])
	if earlier {
		d.at[i] = at
	}
	d.mu.Unlock()
	if earlier {
		select {
		case d.news <- struct{}{}:
		default:
		}
	}
}

// take returns the buckets that are due by now, and when the next one is.
func (d *timers) take(now time.Time) (due []string, next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, at := range &d.at { // no copy: it would be 24 KB of stack
		switch {
		case at.IsZero():
		case !at.After(now):
			d.at[i] = time.Time{}
			due = append(due, ledger.TagAt(i))
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return due, next
}

// run dispatches from buckets when they are due until ctx ends.
func (d *timers) run(ctx context.Context, now func() time.Time, dispatch func(tags []string)) {
	for {
		due, next := d.take(now())
		for part := range slices.Chunk(due, perDispatch) {
			if ctx.Err() != nil {
				return
			}
			dispatch(part)
		}
		if len(due) > 0 {
			wait(ctx, time.Millisecond) // a bucket that says it is due at once must not spin
			continue
		}
		rest := time.Hour
		if !next.IsZero() {
			// Redis counts whole ms: a moment later is not too early.
			rest = next.Sub(now()) + 2*time.Millisecond
		}
		select {
		case <-ctx.Done():
			return
		case <-d.news:
		case <-time.After(max(rest, time.Millisecond)):
		}
	}
}
