package tasks

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"time"

	"habilita/internal/batch"
	"habilita/internal/chain"
)

// chunk is how many calls of a batch travel to Redis together.
const chunk = 4096

// Summary is what an EnqueueBatch did.
type Summary struct {
	Batch      string
	Rows       int // calls and errors that the sequence gave
	Enqueued   int
	Duplicates int // were in the ledger already
	Rejected   int
	Tokens     int
	Elapsed    time.Duration
}

// BatchOption changes how a batch is enqueued.
type BatchOption func(*batchRun)

// OnFailure sets what happens to a chain whose head was given up: "hold" (the default),
// "skip" or "cancel". A batch keeps the policy that it was created with.
func OnFailure(policy string) BatchOption { return func(b *batchRun) { b.policy = policy } }

// NotBefore puts all calls of the batch off that have no time of their own.
func NotBefore(t time.Time) BatchOption { return func(b *batchRun) { b.at = t } }

// OnProgress is called after every chunk that was acknowledged.
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

	id       string
	started  time.Time
	sum      Summary
	calls    []chain.NewCall
	given    []chain.Given
	ordinals map[uint64]uint32 // calls of a chain so far, by the hash of its id
	tokens   map[uint64]struct{}
	noted    [chain.Buckets]bool
	seed     maphash.Seed
}

// EnqueueBatch appends the calls of a sequence under the batch's name, in order for
// each chain. Enqueueing the same sequence again, after an error or a crash, adds only
// what is missing. The summary tells what was acknowledged also where there is an error.
// A *batch policy error* says that the batch exists with another policy; a *CanaryError
// that it holds (see Canary).
func (p *Producer) EnqueueBatch(ctx context.Context, name string, calls iter.Seq2[Call, error], opts ...BatchOption) (Summary, error) {
	started := time.Now()
	b := p.newBatchRun(name, opts)
	err := b.canariesFirst(ctx, name, calls, opts)
	if err == nil {
		err = b.run(ctx, name, calls)
		b.sum = b.canary.sum(b.sum)
	}
	b.sum.Elapsed = time.Since(started)
	return b.sum, err
}

func (p *Producer) newBatchRun(name string, opts []BatchOption) *batchRun {
	b := &batchRun{
		p: p, started: time.Now(), sum: Summary{Batch: name}, id: chain.BatchID(name),
		ordinals: map[uint64]uint32{}, tokens: map[uint64]struct{}{}, seed: maphash.MakeSeed(),
		reject: func(err error) error { return err }, progress: func(Summary) {},
	}
	for _, o := range opts {
		o(b)
	}
	return b
}

func (b *batchRun) run(ctx context.Context, name string, calls iter.Seq2[Call, error]) error {
	if name == "" {
		return errors.New("a batch needs a name")
	}
	policy, err := batch.ParsePolicy(b.policy)
	if err != nil {
		return err
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
	for c, err := range calls {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		index := b.sum.Rows
		b.sum.Rows++
		if err == nil {
			err = c.check(index)
		}
		if err != nil {
			if err := b.reject(err); err != nil {
				// What came before the error is enqueued all the same.
				return errors.Join(err, b.flush(ctx))
			}
			b.sum.Rejected++
			continue
		}
		if err := b.add(&c); err != nil {
			return err
		}
		if len(b.calls) >= chunk {
			if err := b.flush(ctx); err != nil {
				return err
			}
		}
	}
	return b.flush(ctx)
}

func (b *batchRun) add(c *Call) error {
	if c.At.IsZero() {
		c.At = b.at
	}
	n, err := b.p.prepare(c)
	if err != nil {
		return err
	}
	b.tokens[maphash.String(b.seed, n.Token)] = struct{}{}
	if c.ID != "" {
		n.Key = chain.GivenKey(c.ID)
		b.given = append(b.given, chain.Given{ID: c.ID, Batch: b.id, Token: n.Token})
	} else {
		h := maphash.String(b.seed, chain.ID(n.Token, n.Chain))
		n.Key = chain.OrdinalKey(n.Chain, int(b.ordinals[h]))
		b.ordinals[h]++
	}
	b.calls = append(b.calls, n)
	return nil
}

func (b *batchRun) flush(ctx context.Context) error {
	if len(b.calls) == 0 {
		return nil
	}
	var news []int
	for i := range b.calls {
		if t := chain.TagIndex(chain.Tag(b.calls[i].Token)); !b.noted[t] {
			b.noted[t] = true
			news = append(news, t)
		}
	}
	if len(news) > 0 {
		if err := b.p.note(ctx, b.id, news); err != nil {
			return err
		}
	}
	if err := b.p.ledger.Index(ctx, b.given); err != nil {
		return err
	}
	done, err := b.p.ledger.Append(ctx, chain.Append{Batch: b.id, Policy: b.policy, Calls: b.calls})
	b.sum.Enqueued += done.Added
	b.sum.Duplicates += done.Known
	b.sum.Tokens = len(b.tokens)
	if err != nil {
		return err
	}
	b.calls, b.given = b.calls[:0], b.given[:0]
	// Workers find buckets that could not be announced.
	_ = b.p.ledger.Announce(ctx, b.p.clock.Now(), done.Ready...)
	b.sum.Elapsed = time.Since(b.started)
	b.progress(b.sum)
	return nil
}
