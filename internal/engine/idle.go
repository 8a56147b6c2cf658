package engine

import (
	"sync/atomic"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/nudge"
)

// idleRuns are runs with nothing left to do in their bucket. They keep their place for a moment, and
// the dispatcher gives them chains of other buckets. That saves the three scripts of an asynq task
// for each of these chains.
type idleRuns struct {
	// more says that chains of some bucket wait, as far as is known. If none waits, a run ends at once.
	more atomic.Bool
	news chan struct{} // has an element if a run came
	wait time.Duration // of a run, at most
	runs atomic.Int64  // that wait now

	chains chan ledger.Dispatch // unbuffered: a sender knows whether a run waits
}

// idleWait is how long a run waits for a chain: a few round trips of a busy Redis.
const idleWait = 50 * time.Millisecond

func newIdleRuns() *idleRuns {
	return &idleRuns{news: make(chan struct{}, 1), wait: idleWait, chains: make(chan ledger.Dispatch)}
}

// take waits for a chain; false if there is none.
func (i *idleRuns) take(stopped <-chan struct{}) (f ledger.Dispatch, ok bool) {
	if !i.more.Load() {
		return f, false
	}
	i.runs.Add(1)
	defer i.runs.Add(-1)
	nudge.Send(i.news)
	select {
	case f = <-i.chains:
	case <-time.After(i.wait):
	case <-stopped:
	}
	return f, f.Chain != ""
}

// give gives a chain to the run that has waited longest; false if none waits.
func (i *idleRuns) give(f ledger.Dispatch) bool {
	select {
	case i.chains <- f:
		return true
	default:
		return false
	}
}

// waiting is how many runs wait for a chain.
func (i *idleRuns) waiting() int { return int(i.runs.Load()) }

// end tells all runs that no chain waits.
func (i *idleRuns) end() {
	for i.give(ledger.Dispatch{}) {
	}
}
