package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"habilita/internal/ledger"
)

// idleRuns are runs with nothing left to do in their bucket. They keep their place for a moment, and
// the dispatcher gives them chains of other buckets. That saves the three scripts of an asynq task
// for each of these chains.
type idleRuns struct {
	// more tells that chains of some bucket wait, as far as is known: without it a run ends at once.
	more atomic.Bool
	news chan struct{} // has an element if a run came
	wait time.Duration // of a run, at most

	mu   sync.Mutex
	runs []chan ledger.Dispatch
}

// idleWait is how long a run waits for a chain: a few round trips of a busy Redis.
const idleWait = 50 * time.Millisecond

func newIdleRuns() *idleRuns { return &idleRuns{news: make(chan struct{}, 1), wait: idleWait} }

// take waits for a chain; false if there is none.
func (i *idleRuns) take(stopped <-chan struct{}) (ledger.Dispatch, bool) {
	if !i.more.Load() {
		return ledger.Dispatch{}, false
	}
	run := make(chan ledger.Dispatch, 1)
	i.mu.Lock()
	i.runs = append(i.runs, run)
	i.mu.Unlock()
	select {
	case i.news <- struct{}{}:
	default:
	}
	select {
	case f, ok := <-run:
		return f, ok
	case <-time.After(i.wait):
	case <-stopped:
	}
	i.leave(run)
	f, ok := <-run // a chain may have come at the last moment
	return f, ok
}

// leave ends the wait of one run.
func (i *idleRuns) leave(run chan ledger.Dispatch) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if n := slices.Index(i.runs, run); n >= 0 {
		i.runs = slices.Delete(i.runs, n, n+1)
		close(run)
	}
}

// give gives a chain to the run that has waited longest; false if none waits.
func (i *idleRuns) give(f ledger.Dispatch) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.runs) == 0 {
		return false
	}
	run := i.runs[0]
	i.runs = i.runs[1:]
	run <- f
	close(run)
	return true
}

// end tells all runs that no chain waits.
func (i *idleRuns) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, run := range i.runs {
		close(run)
	}
	i.runs = nil
}
