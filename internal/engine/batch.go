package engine

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/vault"
)

// Summary is what an EnqueueBatch did. Rows = Enqueued + Duplicates + Conflicts + Rejected +
// Withheld, where there was no error.
type Summary struct {
	Batch      string        `json:"batch"`
	Rows       int           `json:"rows"`         // calls and errors that the sequence gave
	Enqueued   int           `json:"enqueued"`     // new
	Duplicates int           `json:"duplicates"`   // were in the ledger already: Made + Waiting + Held + Ended
	Made       int           `json:"made"`         // of Duplicates: succeeded
	Waiting    int           `json:"waiting"`      // of Duplicates: wait or run
	Held       int           `json:"held"`         // of Duplicates: given up, and hold their chain
	Ended      int           `json:"ended"`        // of Duplicates: ended otherwise
	Conflicts  int           `json:"conflicts"`    // left out: see ConflictError
	Rejected   int           `json:"rejected"`     // left out: no calls
	Withheld   int           `json:"withheld"`     // left out: see WithheldError, Canary
	Unplaced   int           `json:"unplaced"`     // of Rejected: their token can't be told, so nothing was withheld behind them
	Missing    int           `json:"missing"`      // calls of the batch that the sequence has no more, and that have not ended
	Pruned     int           `json:"pruned"`       // of these, cancelled (Prune)
	Replaced   int           `json:"replaced"`     // of Enqueued: in the place of a call that conflicted (Prune)
	OutOfOrder int           `json:"out_of_order"` // of Enqueued: joined their chain behind calls that stand after them in the sequence
	Tokens     int           `json:"tokens"`       // of the calls that were read
	Edited     bool          `json:"edited"`       // the sequence gave other calls when it was ranged over again
	NotPruned  error         `json:"-"`            // why Prune did nothing; nil: it did, or was not asked for
	Elapsed    time.Duration `json:"-"`
}

// SummaryJSON is a Summary as `enqueue bulk --json` and the HTTP API give it.
type SummaryJSON struct {
	Summary
	Seconds   float64 `json:"seconds"`              // Elapsed, to the millisecond
	NotPruned string  `json:"not_pruned,omitempty"` // why nothing was, though it was asked for
}

// JSON is the summary for programs. prune is what the caller calls its option to prune.
func (s Summary) JSON(prune string) SummaryJSON {
	out := SummaryJSON{Summary: s, Seconds: float64(s.Elapsed.Round(time.Millisecond).Milliseconds()) / 1000}
	if s.NotPruned != nil {
		out.NotPruned = NotPrunedWords(s.NotPruned, prune)
	}
	return out
}

// String tells the number of calls that are new, for logs.
func (s Summary) String() string { return fmt.Sprintf("%d new of %d rows", s.Enqueued, s.Rows) }

// Complete reports whether nothing was left out.
func (s Summary) Complete() bool { return s.Conflicts+s.Rejected+s.Withheld == 0 }

// BatchOption changes how a batch is enqueued.
type BatchOption func(*batchRun)

// OnFailure sets what happens to a chain whose head was given up: "hold" (the default),
// "skip" or "cancel". A batch keeps the policy under which it got its first call.
func OnFailure(policy string) BatchOption { return func(b *batchRun) { b.policy = policy } }

// NotBefore puts all calls of the batch off that have no time of their own. A time that has
// passed means now; one more than MaxAhead from now stops the batch with a *CallError.
func NotBefore(t time.Time) BatchOption { return func(b *batchRun) { b.at = t } }

// NotifyAll asks for the webhook call.finished of each new call, as Call.Notify does. A call that is there already
// stays as it is.
func NotifyAll() BatchOption { return func(b *batchRun) { b.notify = true } }

// OnProgress is called as calls are acknowledged, by the goroutine that called
// EnqueueBatch. Rows runs ahead of what is acknowledged by some ten thousands.
func OnProgress(f func(Summary)) BatchOption { return func(b *batchRun) { b.progress = f } }

// OnReject is called with every error that the sequence gives and every call that can't
// be one (*CallError). It returns nil to count it as rejected and go on, or an error to
// stop with. Without it, the first such error stops the batch.
//
// Later new calls of a rejected one's chain are withheld, but under policy skip. A sequence
// that gives an error says by the Call beside it what is known of its token and chain (see
// ErrChainUnknown).
func OnReject(f func(error) error) BatchOption { return func(b *batchRun) { b.reject = f } }

// OnLeftOut is called with a *ConflictError, *WithheldError or *TwinError for each call that is left out so,
// by the goroutine that called EnqueueBatch. An error that it returns stops the batch.
func OnLeftOut(f func(error) error) BatchOption { return func(b *batchRun) { b.leftOut = f } }

// FromFile says that the batch has its name from this file, by its absolute path: one of the
// same name that is of another file is refused (*ledger.BatchPathError).
func FromFile(path string) BatchOption { return func(b *batchRun) { b.path = path } }

// PartIf says that the sequence is only a part of what the batch is made of, such as rows that
// were left out before. Nothing is missing then, Prune is refused (ErrPart), and a call without
// ID that says what a known one says is rejected (*TwinError), since nobody can tell whether it
// is another. is is asked once, when the sequence has given its first call.
func PartIf(is func() bool) BatchOption { return func(b *batchRun) { b.partIf = is } }

// Look tells what would be done, and does nothing.
func Look() BatchOption { return func(b *batchRun) { b.look = true } }

// Strict enqueues nothing if any call is rejected or conflicts: the error is a *StrictError. The
// sequence is ranged over twice.
func Strict() BatchOption { return func(b *batchRun) { b.strict = true } }

// Prune cancels the calls that the batch has and the sequence has no more, once all of it was
// read, and replaces a call that conflicts and was never sent. A call that runs is left, and so
// are single calls that joined the batch. It does nothing (Summary.NotPruned) if a row was left
// out, if another run of the batch lives, or if it meant more than 20 calls and more than a
// tenth of the batch; PruneExactly then names their number. The sequence is ranged over twice.
func Prune() BatchOption { return func(b *batchRun) { b.prune = true } }

// PruneExactly is Prune for exactly n missing calls, however many.
func PruneExactly(n int) BatchOption { return func(b *batchRun) { b.prune, b.exactly = true, n } }

// EnqueueBatch appends the calls of a sequence under the batch's name, in order for
// each chain. Enqueueing the same sequence again, after an error or a crash, or corrected and in
// another order, adds only what is new: a call is known by its ID, or by what it says. The
// summary tells what was acknowledged also where there is an error.
//
// A *ledger.BatchPolicyError says that the batch has calls under another policy, a
// *ledger.BatchCancelledError that it was cancelled, an *ledger.OldBatchError that an older version made it; a
// *CanaryError that it holds (see Canary). Nothing is left of a batch whose sequence gave no call.
func (p *Producer) EnqueueBatch(ctx context.Context, name string, calls iter.Seq2[Call, error], opts ...BatchOption) (Summary, error) {
	started := time.Now()
	ctx, span := p.tracer.begin(ctx, "enqueue batch", trace.SpanKindProducer)
	job := &batchJob{p: p, name: name, opts: opts, calls: calls, seed: maphash.MakeSeed(), stay: &stay{p: p, id: ledger.BatchID(name), run: newID()}}
	sum, err := job.do(ctx)
	job.stay.end(ctx)
	sum.Elapsed = time.Since(started)
	endBatch(span, sum, err)
	return sum, err
}

// Preview is EnqueueBatch with Look for a batch of which nothing is there, or known. It needs no
// Redis.
func Preview(ctx context.Context, name string, calls iter.Seq2[Call, error], opts ...BatchOption) (Summary, error) {
	return previewJob(vault.NewTokenIDs(vault.NewTokenIDKey()), name, calls, opts...).do(ctx)
}

func previewJob(n *vault.TokenIDs, name string, calls iter.Seq2[Call, error], opts ...BatchOption) *batchJob {
	p := &Producer{stack: &stack{tokenIDs: n, clock: new(quota.Clock)}}
	return &batchJob{p: p, name: name, opts: append(slices.Clip(opts), Look()), calls: calls, seed: maphash.MakeSeed(),
		stay: &stay{p: p, id: ledger.BatchID(name)}, alone: true}
}

// batchJob is an EnqueueBatch: one run over the sequence or several, under one lease.
type batchJob struct {
	p     *Producer
	name  string
	opts  []BatchOption
	calls iter.Seq2[Call, error]
	stay  *stay

	alone   bool // there is no Redis
	created bool // the batch
	seed    maphash.Seed
	digest  uint64 // of what the sequence gave first
	read    bool   // to its end
	edited  bool
	told    []uint64 // what was rejected and told, of the runs before
}

func (j *batchJob) do(ctx context.Context) (Summary, error) {
	b := j.run()
	if err := b.check(); err != nil {
		return b.sum, err
	}
	if (b.strict || b.prune) && !b.look {
		l := j.run()
		l.look = true
		if !b.strict {
			l.leftOut = func(error) error { return nil }
		}
		l.progress = func(Summary) {}
		sum, err := l.do(ctx)
		switch {
		case err != nil:
			return sum, err
		case b.strict && sum.Rejected+sum.Conflicts > 0:
			sum.Withheld += sum.Enqueued
			sum.Enqueued, sum.OutOfOrder = 0, 0
			return sum, &StrictError{Rejected: sum.Rejected, Conflicts: sum.Conflicts}
		}
		b.replace = b.prune && sum.Complete() && b.prunable(sum.Missing, l.total) == nil
	}
	if err := j.canariesFirst(ctx, b); err != nil {
		return b.sum, err
	}
	sum, err := b.do(ctx)
	sum = b.canary.sum(sum)
	sum.Edited = j.edited
	switch {
	case err != nil:
	case !b.look:
		err = b.complete(ctx, &sum)
	case b.prune && !j.alone:
		sum.NotPruned = b.mayPrune(sum)
	}
	return sum, err
}

// run makes a run of the job's options.
func (j *batchJob) run() *batchRun {
	b := newBatchRun(j)
	for _, o := range j.opts {
		o(b)
	}
	reject := b.reject
	b.reject = func(err error) error { return j.tell(b, err, reject) }
	return b
}

// tell tells what is rejected, once.
func (j *batchJob) tell(b *batchRun, err error, reject func(error) error) error {
	h := maphash.String(j.seed, err.Error())
	if b.retold < len(j.told) && j.told[b.retold] == h {
		b.retold++
		return nil
	}
	failed := reject(err)
	if failed == nil {
		j.told = append(j.told[:b.retold], h)
		b.retold++
	}
	return failed
}

func (b *batchRun) check() error {
	if p := ledger.BatchNameProblem(b.name); p != "" {
		return &CallError{Index: -1, Field: "batch", Problem: p}
	}
	policy, err := ledger.ParsePolicy(b.policy)
	if err != nil {
		return err
	}
	if TooFar(b.at) {
		return &CallError{Index: -1, Field: "at", Problem: tooFar}
	}
	b.policy = string(policy)
	return b.p.usable()
}
