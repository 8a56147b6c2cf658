package engine

import (
	"context"
	"sync"
	"time"

	"habilita/internal/ledger"
)

// Recorded is the outcome of an attempt that the ledger has taken.
type Recorded struct {
	*ledger.Attempt
	ledger.Outcome
	At      time.Time // by the clock of Redis
	RetryAt time.Time // not before then, where the call comes back
}

// notSentError says that WorkerOptions.BeforeSend did not let a request be sent.
type notSentError struct{ cause error }

func (e *notSentError) Error() string { return "not sent: " + e.cause.Error() }
func (e *notSentError) Unwrap() error { return e.cause }

// told is, by chain, the last attempt that BeforeSend was told of, until AfterOutcome was told of it too.
type told struct{ last sync.Map }

type toldAttempt struct {
	nonce     string
	leaseEnds time.Time
	outcome   chan struct{} // closed when AfterOutcome has returned
}

// previous waits until AfterOutcome was told of the chain's attempt before this one. The ledger has an
// outcome first, so that another run may have begun the next call already. An outcome that the ledger
// does not have is not waited for beyond its lease.
func (t *told) previous(ctx context.Context, chain string, now time.Time) {
	v, ok := t.last.Load(chain)
	if !ok {
		return
	}
	last := v.(*toldAttempt)
	select {
	case <-last.outcome:
	case <-time.After(last.leaseEnds.Sub(now)):
	case <-ctx.Done():
	}
}

func (t *told) begun(a *ledger.Attempt) {
	t.last.Store(a.Chain, &toldAttempt{a.Nonce, a.LeaseEnds, make(chan struct{})})
}

func (t *told) ended(a *ledger.Attempt) {
	if v, ok := t.last.Load(a.Chain); ok && v.(*toldAttempt).nonce == a.Nonce {
		close(v.(*toldAttempt).outcome)
		t.last.CompareAndDelete(a.Chain, v)
	}
}

// beforeSend asks the hook, if there is one.
func (r *runner) beforeSend(ctx context.Context, a *ledger.Attempt) error {
	if r.o.BeforeSend == nil {
		return nil
	}
	if r.o.AfterOutcome != nil {
		r.told.previous(ctx, a.Chain, r.clock.Now())
		r.told.begun(a)
	}
	if err := r.o.BeforeSend(ctx, a, r.granted(a)); err != nil {
		return &notSentError{err}
	}
	return nil
}

// granted is when an attempt was granted, by the clock of Redis.
func (r *runner) granted(a *ledger.Attempt) time.Time { return a.LeaseEnds.Add(-r.settings.Lease) }

// recorded tells the hook, if there is one.
func (r *runner) recorded(a *ledger.Attempt, j *verdict, at time.Time) {
	if r.o.AfterOutcome == nil {
		return
	}
	defer r.told.ended(a)
	rec := Recorded{Attempt: a, Outcome: j.Outcome, At: at}
	if j.Kind != ledger.Done && j.Kind != ledger.GiveUp {
		rec.RetryAt = at.Add(j.Delay)
		if j.Slot == ledger.Keep && a.LeaseEnds.After(rec.RetryAt) {
			rec.RetryAt = a.LeaseEnds
		}
	}
	r.o.AfterOutcome(rec)
}
