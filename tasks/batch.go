package tasks

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
)

// Policy says what happens to a chain if one of its calls is given up.
type Policy string

// The policies.
const (
	PolicyHold   Policy = "hold"   // the chain waits for a person; the default
	PolicySkip   Policy = "skip"   // it goes on with the next call
	PolicyCancel Policy = "cancel" // the later calls of the batch in that chain are cancelled
)

// Summary says what EnqueueBatch did. Rows = Enqueued + Duplicates + Conflicts + Rejected +
// Withheld, if there was no error.
type Summary struct {
	Batch      string
	Rows       int // calls and errors that the sequence gave
	Enqueued   int // new
	Duplicates int // were there already = Made + Waiting + Held + Ended
	Made       int // succeeded
	Waiting    int // wait or run
	Held       int // given up, and hold their chain
	Ended      int // ended otherwise
	Conflicts  int // left out: *ConflictError
	Rejected   int // left out: they can't be calls
	Withheld   int // left out: *WithheldError, or a batch that Canary holds
	Unplaced   int // of Rejected: their token is unknown, so nothing was withheld behind them
	Missing    int // calls of the batch that have not ended, and that the sequence no longer has
	Pruned     int // of these, cancelled by Prune
	Replaced   int // of Enqueued: replace a call that conflicted, by Prune
	OutOfOrder int // of Enqueued: joined their chain behind calls that come after them in the sequence
	Tokens     int // of the calls that were read
	// Edited says that the sequence gave different calls when it was ranged over again.
	Edited bool
	// NotPruned is a *PruneError that says why Prune did nothing; nil: it pruned, or was not given.
	NotPruned error
	// NotBefore is to when calls without a time of their own were put off; zero: they were not.
	NotBefore time.Time
	// Kept says that calls of the batch that wait had another time than NotBefore gives, and keep it.
	Kept    bool
	Elapsed time.Duration
}

// Complete reports whether nothing was left out.
func (s Summary) Complete() bool { return s.Conflicts+s.Rejected+s.Withheld == 0 }

func summaryOf(s engine.Summary) Summary {
	s.NotPruned = public(s.NotPruned)
	return Summary(s)
}

// BatchOption changes how EnqueueBatch enqueues. The zero value changes nothing, and a
// function that is nil means none.
type BatchOption struct{ set func(*engine.BatchOptions) }

// OnFailure sets the policy of the batch; the default is PolicyHold. A batch keeps the policy
// that it had when it got its first call.
func OnFailure(p Policy) BatchOption {
	return BatchOption{func(o *engine.BatchOptions) { o.Policy = ledger.Policy(p) }}
}

// NotBefore puts off all calls that have no time of their own. A time that has passed means now;
// a time more than ten years ahead is a *CallError. Without NotBefore, calls that are new in a batch
// that was put off keep its time, as long as that has not come.
func NotBefore(t time.Time) BatchOption {
	return BatchOption{func(o *engine.BatchOptions) { o.NotBefore = t }}
}

// OnProgress calls f as calls are acknowledged, in the goroutine of EnqueueBatch.
func OnProgress(f func(Summary)) BatchOption {
	return BatchOption{func(o *engine.BatchOptions) {
		if o.OnProgress = nil; f != nil {
			o.OnProgress = func(s engine.Summary) { f(summaryOf(s)) }
		}
	}}
}

// OnReject calls f with every error that the sequence gives, and with a *CallError for every
// call that is not valid. f returns nil to count it as rejected and go on, or the error to stop
// with. Without OnReject, the first such error stops the batch.
//
// Later new calls in the chain of a rejected call are withheld, except under PolicySkip. The
// Call that comes with an error says what is known of its token and chain; see ErrChainUnknown.
func OnReject(f func(error) error) BatchOption {
	return BatchOption{func(o *engine.BatchOptions) { o.OnReject = ofCaller(f) }}
}

// ofCaller returns a caller's function as the engine calls it; nil: none.
func ofCaller(f func(error) error) func(error) error {
	if f == nil {
		return nil
	}
	return func(err error) error { return f(public(err)) }
}

// OnLeftOut calls f for every call that conflicts or is withheld, with a *ConflictError or
// *WithheldError, in the goroutine of EnqueueBatch. An error of f stops the batch.
func OnLeftOut(f func(error) error) BatchOption {
	return BatchOption{func(o *engine.BatchOptions) { o.OnLeftOut = ofCaller(f) }}
}

// Strict enqueues nothing if any call is rejected or conflicts: the error is then a *StrictError.
// An error that stops the batch comes as it is: without OnReject, that is the *CallError of the
// first invalid call. The sequence is ranged over twice.
func Strict() BatchOption {
	return BatchOption{func(o *engine.BatchOptions) { o.Strict = true }}
}

// Prune cancels the calls of the batch that the sequence no longer has, and replaces a call that
// conflicts and was never sent. It leaves calls that run, and single calls that joined the batch.
// It does nothing (Summary.NotPruned) in three cases: a row was left out, another run fills the
// batch, or more than 20 calls and more than a tenth of the batch are missing. In the last case,
// use PruneExactly. The sequence is ranged over twice.
func Prune() BatchOption {
	return BatchOption{func(o *engine.BatchOptions) { o.Prune = true }}
}

// PruneExactly is Prune for exactly n missing calls, however many. For n = 0 it cancels none.
func PruneExactly(n int) BatchOption {
	return BatchOption{func(o *engine.BatchOptions) { o.Prune, o.PruneExactly = true, cmp.Or(n, -1) }}
}

// Canary lets the calls of the first k tokens go first: EnqueueBatch waits until these have a
// result, and enqueues the others only if all succeeded. Otherwise the batch holds, and the error
// is a *CanaryError. The sequence is ranged over twice and must give the same calls each time.
//
// Called again, EnqueueBatch goes on where it was. While a batch holds, EnqueueBatch refuses
// another k, except 0: Canary(0) enqueues the others whatever became of the canaries.
func Canary(k int) BatchOption {
	return BatchOption{func(o *engine.BatchOptions) { o.Canary, o.Release = k, k == 0 }}
}

// OnCanary calls f with the counts of the calls that go first, about every second while
// EnqueueBatch waits for them.
func OnCanary(f func(Canaries)) BatchOption {
	return BatchOption{func(o *engine.BatchOptions) {
		if o.OnCanary = nil; f != nil {
			o.OnCanary = func(c engine.Canaries) { f(Canaries(c)) }
		}
	}}
}

// Canaries are the counts of the calls that go first. Calls = Succeeded + Failed + Skipped +
// Cancelled + Open.
type Canaries struct {
	Tokens                                             int // k, as Canary got it
	Calls, Succeeded, Failed, Skipped, Cancelled, Open int
}

// EnqueueBatch enqueues the calls of a sequence under the batch's name, in order for each chain.
// Enqueue the batch again after an error or a crash, or corrected and in another order: that adds
// only what is new. A call is known by its ID, or by its content. The summary says what was
// acknowledged, even if there is an error. A sequence that gives nothing makes no batch:
// the error is nil, but if there was no batch of that name, Wait returns an *UnknownError.
//
// A *BatchError says why the batch takes no calls. A *CallError, or the sequence's own error, says
// what stopped it (see OnReject). ErrRedisFull means that Redis takes nothing new.
func (c *Client) EnqueueBatch(ctx context.Context, name string, calls iter.Seq2[Call, error], opts ...BatchOption) (Summary, error) {
	if c.closed.Load() {
		return Summary{Batch: name}, ErrClosed
	}
	if calls == nil {
		return Summary{Batch: name}, errors.New("tasks: EnqueueBatch needs a sequence of calls")
	}
	var all engine.BatchOptions
	for _, o := range opts {
		if o.set != nil {
			o.set(&all)
		}
	}
	var s engine.Summary
	err := c.control.EnqueueBatch(c.asProgram(ctx), name, func() (_ control.Outcome, err error) {
		s, err = c.producer.EnqueueBatch(ctx, name, engineCalls(calls), all)
		return control.Outcome{Count: s.Enqueued, Of: s.Rows, Pruned: s.Pruned, Replaced: s.Replaced}, err
	})
	return summaryOf(s), public(err)
}

func engineCalls(calls iter.Seq2[Call, error]) iter.Seq2[engine.Call, error] {
	return func(yield func(engine.Call, error) bool) {
		for c, err := range calls {
			if !yield(c.engine(), ofSequence(err)) {
				return
			}
		}
	}
}
