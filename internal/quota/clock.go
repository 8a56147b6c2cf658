package quota

import (
	"sync/atomic"
	"time"

	"habilita/internal/wallclock"
)

// Clock is the time of the Redis server as its replies told it, carried on by the
// monotonic clock, so a wall clock that is off or steps changes nothing. The zero
// value is the local clock until the first Observe. Safe for concurrent use; not to
// be copied after use.
type Clock struct {
	seen atomic.Pointer[sighting]
}

type sighting struct {
	at     time.Time // local, with its monotonic reading
	server int64     // ms
}

// clockSlack is how far an estimate may be off before a new sighting replaces it:
// sightings are late by the reply's travel time, and replacing costs an allocation.
const clockSlack = 20 // ms

// Observe learns that the server's time was serverMillis (since 1970) just now.
// Numbers below 1 are ignored.
func (c *Clock) Observe(serverMillis int64) {
	if serverMillis < 1 {
		return
	}
	if c.seen.Load() != nil {
		if off := c.Now().UnixMilli() - serverMillis; off >= -clockSlack && off <= clockSlack {
			return
		}
	}
	c.seen.Store(&sighting{at: time.Now(), server: serverMillis})
}

// Now returns the server's time, late by a reply's travel time and 20 ms at most.
func (c *Clock) Now() time.Time {
	s := c.seen.Load()
	if s == nil {
		return time.Now()
	}
	return time.UnixMilli(s.server).Add(time.Since(s.at))
}

// last is the window that was asked for last: computing one takes some microseconds, it stays the same until
// midnight, and a process has one zone.
var last atomic.Pointer[window]

// windowAt returns the window around a moment.
func windowAt(loc *time.Location, now time.Time) *window {
	if w := last.Load(); w != nil && w.loc == loc && w.holds(now) {
		return w
	}
	w := newWindow(loc, now)
	last.Store(w)
	return w
}

// window is four days around a moment: yesterday, the day of the moment, and the
// two that follow.
type window struct {
	loc    *time.Location
	starts [5]int64  // ms; the last one ends the last day
	labels [4]string // YYYYMMDD
	args   [9]any    // start, label, ..., start, as the scripts read them
}

func (w *window) holds(now time.Time) bool {
	ms := now.UnixMilli()
	return ms >= w.starts[1] && ms < w.starts[2]
}

func newWindow(loc *time.Location, now time.Time) *window {
	today := startOf(now.In(loc), 0)
	// If a clock goes back over midnight, the new date begins, is left and comes again:
	// it is the new day from its first instant on.
	if next := nextStart(today); !now.Before(next) {
		today = next
	}
	starts := [5]time.Time{1: today}
	starts[0] = startOf(today.Add(-time.Nanosecond), 0)
	w := &window{loc: loc}
	for i := range starts {
		if i > 1 {
			starts[i] = nextStart(starts[i-1])
		}
		w.starts[i] = starts[i].UnixMilli()
		w.args[2*i] = text(w.starts[i])
		if i < len(w.labels) {
			w.labels[i] = starts[i].Format("20060102")
			w.args[2*i+1] = w.labels[i]
		}
	}
	return w
}

// nextStart returns the start of the date after t's. If the zone skipped that date
// (Pacific/Apia, 2011-12-30), it returns the start of the one after it.
func nextStart(t time.Time) time.Time { return startOf(t, 1) }

// startOf returns the first instant of the date that is so many days after t's, in t's zone. If the zone
// skips that date, it returns the first instant of the next date.
func startOf(t time.Time, days int) time.Time {
	y, m, d := t.Date()
	return wallclock.First(time.Date(y, m, d+days, 0, 0, 0, 0, time.UTC), t.Location())
}

// NextDay returns when a token that can do nothing more today gets grants again: the end
// of the vendor's day around serverNow, plus the guard.
func (s Settings) NextDay(serverNow time.Time) time.Time {
	return time.UnixMilli(windowAt(s.Location, serverNow).starts[2]).Add(s.Guard)
}
