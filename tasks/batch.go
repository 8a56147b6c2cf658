package tasks

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"habilita/internal/batch"
	"habilita/internal/chain"
)

// Summary is what an EnqueueBatch did.
type Summary struct {
	Batch      string
	Rows       int // calls and errors that the sequence gave
	Enqueued   int
	Duplicates int // were in the ledger already
	Rejected   int
	Tokens     int // of the calls that were read
	Elapsed    time.Duration
}

// BatchOption changes how a batch is enqueued.
type BatchOption func(*batchRun)

// OnFailure sets what happens to a chain whose head was given up: "hold" (the default),
// "skip" or "cancel". A batch keeps the policy that it was created with.
func OnFailure(policy string) BatchOption { return func(b *batchRun) { b.policy = policy } }

// NotBefore puts all calls of the batch off that have no time of their own. A time that has
// passed means now; one more than MaxAhead from now stops the batch with a *CallError.
func NotBefore(t time.Time) BatchOption { return func(b *batchRun) { b.at = t } }

// OnProgress is called as calls are acknowledged, by the goroutine that called
// EnqueueBatch. Rows runs ahead of what is acknowledged by some ten thousands.
func OnProgress(f func(Summary)) BatchOption { return func(b *batchRun) { b.progress = f } }

// OnReject is called with every error that the sequence gives and every call that can't
// be one (*CallError). It returns nil to count it as rejected and go on, or an error to
// stop with. Without it, the first such error stops the batch.
func OnReject(f func(error) error) BatchOption { return func(b *batchRun) { b.reject = f } }

type batchRun struct {
	p        *Producer
	policy   string
	at       time.Time
	progress func(Summary)
	reject   func(error) error
	canary   canaries

	id     string
	began  time.Time
	sum    Summary
	sealer *sealer
	out    *gatherer
	seed   maphash.Seed
	seen   map[uint64]uint32 // calls of a chain so far that have no id, by the hash of its id
}

// EnqueueBatch appends the calls of a sequence under the batch's name, in order for
// each chain. Enqueueing the same sequence again, after an error or a crash, adds only
// what is missing. The summary tells what was acknowledged also where there is an error.
// A *batch policy error* says that the batch exists with another policy; a *CanaryError
// that it holds (see Canary).
func (p *Producer) EnqueueBatch(ctx context.Context, name string, calls iter.Seq2[Call, error], opts ...BatchOption) (Summary, error) {
	started := time.Now()
	ctx, span := p.tracer.begin(ctx, "enqueue batch", trace.SpanKindProducer)
	b := p.newBatchRun(name, opts)
	err := b.canariesFirst(ctx, name, calls, opts)
	if err == nil {
		err = b.run(ctx, name, calls)
		b.sum = b.canary.sum(b.sum)
	}
	b.sum.Elapsed = time.Since(started)
	endBatch(span, b.sum, err)
	return b.sum, err
}

func (p *Producer) newBatchRun(name string, opts []BatchOption) *batchRun {
	b := &batchRun{
		p: p, began: time.Now(), sum: Summary{Batch: name}, id: chain.BatchID(name),
		sealer: newSealer(p), seen: map[uint64]uint32{}, seed: maphash.MakeSeed(),
		reject: func(err error) error { return err }, progress: func(Summary) {},
	}
	for _, o := range opts {
		o(b)
	}
	return b
}

func (b *batchRun) run(ctx context.Context, name string, calls iter.Seq2[Call, error]) error {
	if p := batch.NameProblem(name); p != "" {
		return &CallError{Index: -1, Field: "batch", Problem: p}
	}
	policy, err := batch.ParsePolicy(b.policy)
	if err != nil {
		return err
	}
	if TooFar(b.at) {
		return &CallError{Index: -1, Field: "at", Problem: tooFar}
	}
	if err := b.p.usable(); err != nil {
		return err
	}
	b.policy = string(policy)
	meta, err := b.p.batches.Ensure(ctx, batch.Meta{ID: b.id, Name: name, Policy: policy, Created: b.p.clock.Now(), Canary: b.canary.tokens})
	if err != nil {
		return err
	}
	if err := b.canary.mayEnqueue(ctx, b.p, meta); err != nil {
		return err
	}
	b.out = newGatherer(ctx, b.id, b.p.ledger.Index, b.deliver, b.hint)
	hurried, stop := context.WithCancel(ctx)
	var ticker sync.WaitGroup
	ticker.Go(func() { b.out.hurry(hurried) })
	stopped, err := b.read(ctx, calls)
	stop()
	ticker.Wait()
	failed := b.out.finish(stopped, b.acknowledged)
	if failed == nil || errors.Is(err, failed) {
		return err
	}
	if err == nil || errors.Is(failed, err) {
		return failed
	}
	return errors.Join(err, failed)
}

// read takes the calls of the sequence. It reports whether what was gathered is to be
// thrown away.
func (b *batchRun) read(ctx context.Context, calls iter.Seq2[Call, error]) (stopped bool, err error) {
	for c, err := range calls {
		if ctx.Err() != nil {
			return true, ctx.Err()
		}
		index := b.sum.Rows
		b.sum.Rows++
		if err == nil {
			err = c.check(index)
		}
		if err != nil {
			if err := b.reject(err); err != nil {
				return false, err // what came before the error is enqueued all the same
			}
			b.sum.Rejected++
			continue
		}
		if err := b.add(&c); err != nil {
			return true, err
		}
		select {
		case <-b.out.acks:
			b.acknowledged()
		default:
		}
	}
	return false, nil
}

// add gives the call its key and passes it on.
func (b *batchRun) add(c *Call) error {
	if c.At.IsZero() {
		c.At = b.at
	}
	n, err := b.sealer.prepare(c)
	if err != nil {
		return err
	}
	of := maphash.String(b.seed, n.Token) // of the token's own chain, too
	count, ok := b.seen[of]
	if !ok {
		b.sum.Tokens++
		b.seen[of] = 0
	}
	if c.ID != "" {
		n.Key = chain.GivenKey(c.ID)
	} else {
		if c.Chain != "" {
			of = maphash.String(b.seed, chain.ID(n.Token, n.Chain))
			count = b.seen[of]
		}
		b.seen[of] = count + 1
		n.Key = chain.OrdinalKey(n.Chain, int(count))
	}
	if b.canary.first {
		b.canary.calls[n.Token+n.Key] = struct{}{}
	}
	return b.out.add(&n, c.ID)
}

// deliver appends groups, and has the buckets that have calls of the batch now noted first.
func (b *batchRun) deliver(ctx context.Context, trip []*chain.Group, first []int) (chain.Appended, error) {
	if len(first) > 0 {
		if err := b.p.note(ctx, b.id, first); err != nil {
			return chain.Appended{}, err
		}
	}
	return b.p.ledger.AppendGroups(ctx, chain.Append{Batch: b.id, Policy: b.policy}, trip)
}

// hint announces buckets; workers find those that could not be announced, too.
func (b *batchRun) hint(ctx context.Context, ready []string) {
	_ = b.p.ledger.Announce(ctx, b.p.clock.Now(), ready...)
}

// acknowledged tells the progress.
func (b *batchRun) acknowledged() {
	b.sum.Enqueued, b.sum.Duplicates = b.out.acknowledged()
	b.sum.Elapsed = time.Since(b.began)
	b.progress(b.sum)
}
