package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"habilita/internal/ledger"
)

// Granted is an attempt that was granted: its slot is taken, its request counted on its
// days, and nothing was sent yet. It never holds the token.
type Granted struct {
	Call    string // id of the call
	Batch   string // short name of its batch
	Key     string // of the call in its batch and token
	Chain   string // id of the chain
	TokenID string // name of the token
	Nonce   string // names the attempt: the member of its token's slots

	Attempt       int       // requests for the call, with this one
	Spent         int       // of the budget, with this one
	Failures      int       // in a row
	FirstPushBack time.Time // of this budget; zero: none

	LeaseBegan time.Time // by the clock of Redis, as the following
	LeaseEnds  time.Time // until then the slot stays taken if nobody frees it
	Days       string    // on which it is counted, YYYYMMDD, comma separated
}

// What became of an attempt's slot (Recorded.Slot).
const (
	SlotFreed     = string(ledger.Release)
	SlotKept      = string(ledger.Keep)     // unknown outcome: taken until the lease ends
	SlotGivenBack = string(ledger.GiveBack) // certainly not sent: free, and not counted
)

// What an outcome means for its call (Recorded.Kind).
const (
	KindSucceeded = string(ledger.Done)
	KindFailed    = string(ledger.Fail)     // may pass; an attempt of the budget
	KindPushBack  = string(ledger.PushBack) // the vendor's: no attempt of the budget
	KindNotSent   = string(ledger.NotSent)  // the vendor can't be reached: as push-back
	KindLate      = string(ledger.Late)     // not sent, and the vendor is not the cause
	KindGivenUp   = string(ledger.GiveUp)
)

// Recorded is the outcome of an attempt that the ledger has taken.
type Recorded struct {
	Granted
	Kind           string    // one of the Kinds
	Slot           string    // SlotFreed, SlotKept or SlotGivenBack
	At             time.Time // by the clock of Redis
	RetryAt        time.Time // not before then, where the call comes back
	Code, Msg, Err string    // as reports have them
	Reason         string    // the same

	// CoolUntil closes the token until then (zero: does not), CoolWhy says why, and
	// CoolProbe, where above 0, lets a gentle try through after so long. CoolLift opens it.
	CoolUntil time.Time
	CoolWhy   string
	CoolProbe time.Duration
	CoolLift  bool
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
	lease := time.NewTimer(last.leaseEnds.Sub(now))
	defer lease.Stop()
	select {
	case <-last.outcome:
	case <-lease.C:
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
	if err := r.o.BeforeSend(ctx, r.granted(a)); err != nil {
		return &notSentError{err}
	}
	return nil
}

// recorded tells the hook, if there is one.
func (r *runner) recorded(a *ledger.Attempt, j *verdict, at time.Time) {
	if r.o.AfterOutcome == nil {
		return
	}
	defer r.told.ended(a)
	rec := Recorded{
		Granted: r.granted(a), Kind: string(j.Kind), Slot: string(j.Slot), At: at, Code: j.Code, Msg: j.Msg, Err: j.Err, Reason: j.Reason,
		CoolUntil: j.Cooling.Until, CoolWhy: j.Cooling.Why, CoolProbe: j.Cooling.ProbeAfter, CoolLift: j.Cooling.Lift,
	}
	if j.Kind != ledger.Done && j.Kind != ledger.GiveUp {
		rec.RetryAt = at.Add(j.Delay)
		if j.Slot == ledger.Keep && a.LeaseEnds.After(rec.RetryAt) {
			rec.RetryAt = a.LeaseEnds
		}
	}
	r.o.AfterOutcome(rec)
}

func (r *runner) granted(a *ledger.Attempt) Granted {
	token, _ := ledger.SplitChainID(a.Chain)
	return Granted{
		Call: a.CallID(), Batch: a.Batch, Key: a.Key, Chain: a.Chain, TokenID: token, Nonce: a.Nonce,
		Attempt: a.Number, Spent: a.Spent, Failures: a.Failures, FirstPushBack: a.FirstPushBack,
		LeaseBegan: a.LeaseEnds.Add(-r.settings.Lease), LeaseEnds: a.LeaseEnds, Days: a.Days,
	}
}

// refusedByHook is the outcome of an attempt that the hook did not let be sent.
func (f attemptFacts) refusedByHook(err error) (verdict, bool) {
	var own *notSentError
	if !errors.As(err, &own) {
		return verdict{}, false
	}
	return verdict{ledger.Outcome{Kind: ledger.Late, Slot: ledger.GiveBack, Delay: f.BackOff, Err: err.Error()}, outcomeNotSent}, true
}

// Recall is for a program whose ledger ends with it, and that keeps what became of its calls
// itself (`enqueue run`). f sees each call before it is appended, in order; it may change it,
// and returns false to pass over it.
func Recall(f func(*ledger.NewCall) bool) BatchOption { return func(b *batchRun) { b.recall = f } }

// Known is for the same programs: f says of each call that is new to the ledger (by the token's
// name and the key behind it) how it is counted.
func Known(f func(field string) ledger.Landing) BatchOption {
	return func(b *batchRun) { b.known = f }
}
