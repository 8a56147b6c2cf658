package engine

import (
	"sync/atomic"
	"time"
)

// prefetch tells how many tasks are to wait in asynq: as many as begin until the dispatcher comes
// again. With more, a chain that becomes ready stands behind tasks that nobody needed yet.
type prefetch struct {
	rate  atomic.Int64 // tasks that begin in a second, smoothed
	at    time.Time
	count int64
}

const (
	prefetchEvery = 20 * time.Millisecond
	// aheadOf is how long the tasks that wait last: a few round trips of a busy Redis.
	aheadOf  = 10 * time.Millisecond
	minAhead = 2
)

// note is told, by one goroutine, how many tasks have begun until now.
func (p *prefetch) note(now time.Time, begun int64) {
	took := now.Sub(p.at)
	if took < prefetchEvery {
		return
	}
	rate := int64(float64(begun-p.count) / took.Seconds())
	p.rate.Store((p.rate.Load() + rate) / 2)
	p.at, p.count = now, begun
}

// ahead is how many tasks are to wait, for a worker of so many places.
func (p *prefetch) ahead(places int) int {
	return min(max(minAhead, int(p.rate.Load()*aheadOf.Milliseconds()/1000)), max(minAhead, places/2))
}
