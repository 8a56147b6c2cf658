package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// pauses notices that this process did not run: it was stopped (SIGSTOP), its machine was
// suspended, or it got no processor. A request that lasted through a pause may have been
// answered long before its time-out was seen, so it says nothing about the vendor's server.
// The zero value knows of no pause; run looks for them.
type pauses struct {
	looked atomic.Pointer[time.Time] // when run looked last
	ended  atomic.Pointer[time.Time] // when the last pause was seen to be over
}

const (
	pauseLook  = 100 * time.Millisecond
	pauseLeast = time.Second
)

// run looks until ctx ends, and logs every pause.
func (p *pauses) run(ctx context.Context, log zerolog.Logger) {
	for ; ctx.Err() == nil; wait(ctx, pauseLook) {
		if d := p.look(time.Now()); d > 0 {
			log.Warn().Dur("pause_ms", d).Msg("this process did not run for a while (stopped, suspended, or without a processor): " +
				"requests that were in flight are held against no server of the vendor")
		}
	}
}

// look notes that the process runs now, and returns how long it was paused; 0: it was not.
func (p *pauses) look(now time.Time) time.Duration {
	before := p.looked.Swap(&now)
	if before == nil {
		return 0
	}
	d := apart(*before, now)
	if d < pauseLeast {
		return 0
	}
	p.ended.Store(&now)
	return d
}

// since reports whether the process was paused at some time since t; both times are from
// time.Now. It may be called right after a pause, before run has looked.
func (p *pauses) since(t, now time.Time) bool {
	if ended := p.ended.Load(); ended != nil && ended.After(t) {
		return true
	}
	looked := p.looked.Load()
	return looked != nil && apart(*looked, now) >= pauseLeast
}

// apart is how far two times are apart. It uses the wall clock too, because the monotonic
// clock stands still while a machine is suspended.
func apart(a, b time.Time) time.Duration {
	return max(b.Sub(a), b.Round(0).Sub(a.Round(0)))
}
