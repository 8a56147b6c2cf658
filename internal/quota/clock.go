package quota

import (
	"sync/atomic"
	"time"
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

// How far an estimate may be off before a new sighting replaces it: sightings are
// late by the way of the reply, and replacing costs an allocation.
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

// Now is the server's time, late by the way of a reply and 20 ms at most.
func (c *Clock) Now() time.Time {
	s := c.seen.Load()
	if s == nil {
		return time.Now()
	}
	return time.UnixMilli(s.server).Add(time.Since(s.at))
}
