package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/say"
)

// Canaries are the counts of the calls that go first. Calls = Succeeded + Failed +
// Skipped + Cancelled + Open.
type Canaries struct {
	Tokens                                             int // BatchOptions.Canary
	Calls, Succeeded, Failed, Skipped, Cancelled, Open int
}

// CanaryError says that a batch holds because not all of its canaries succeeded.
type CanaryError struct {
	Batch    string
	Canaries Canaries
}

func (e *CanaryError) Error() string {
	c := e.Canaries
	return fmt.Sprintf("batch %q holds: %s of %s of its canaries (the first %s) did not succeed, and the others are not enqueued",
		e.Batch, say.Thousands(c.Calls-c.Succeeded), say.Count(c.Calls, "call"), say.Count(c.Tokens, "token"))
}

// canaries are what a run knows of its canaries.
type canaries struct {
	first  bool                // this run enqueues the canaries alone
	calls  map[string]struct{} // of the canaries, as ledger.Call.Field has them
	rows   int                 // that the sequence gave
	before Summary             // what the run of the canaries did
}

// canariesFirst enqueues the canaries and waits for them, unless the run has none, or the
// batch is released already. After an error, b.sum is what was done.
func (j *batchJob) canariesFirst(ctx context.Context, b *batchRun) error {
	if b.Canary < 0 {
		return fmt.Errorf("canaries can't be %d tokens", b.Canary)
	}
	if b.Canary == 0 || b.Look {
		return nil
	}
	meta, err := b.p.batches.Get(ctx, b.id)
	if err != nil && !errors.Is(err, ledger.ErrNoBatch) {
		return err
	}
	if err == nil && meta.Released {
		return nil
	}
	f := j.run()
	f.replace = b.replace
	f.canary.first, f.canary.calls = true, map[string]struct{}{}
	f.OnLeftOut = nil // the run of all rows tells it
	err = f.do(ctx)
	f.sum.Rows = f.canary.rows
	b.sum = f.sum
	if err != nil {
		return err
	}
	if f.opened && len(f.canary.calls) > 0 {
		if err := f.awaitCanaries(ctx, j.name); err != nil {
			if redisconn.Is[*CanaryError](err) {
				b.sum.Withheld += b.sum.Rows - b.sum.Enqueued - b.sum.Duplicates - b.sum.Conflicts - b.sum.Rejected - b.sum.Withheld
			}
			return err
		}
	}
	if f.opened && j.lease.begun {
		if err := b.p.batches.Release(ctx, b.id); err != nil {
			return err
		}
	}
	b.canary.before = f.sum
	b.sum = Summary{Batch: j.name}
	return nil
}

// mayEnqueue says whether this run may enqueue calls of the batch.
func (b *batchRun) mayEnqueue(ctx context.Context, m ledger.Batch) error {
	switch {
	case b.canary.first || !m.Holds() || b.Look && (b.Canary > 0 || b.Release):
		return nil
	case b.Release:
		return b.p.batches.Release(ctx, m.ID)
	}
	return m.Held()
}

// sum joins the summaries of both runs into one.
func (c *canaries) sum(s Summary) Summary {
	s.Enqueued += c.before.Enqueued
	s.Duplicates -= min(c.before.Enqueued, s.Duplicates)
	s.Made -= min(c.before.Enqueued, s.Made) // they have succeeded since
	s.Replaced += c.before.Replaced
	s.OutOfOrder += c.before.OutOfOrder
	return s
}

// ofFirstTokens are the calls of the first tokens, and all errors, in their order.
func (b *batchRun) ofFirstTokens(calls iter.Seq2[Call, error]) iter.Seq2[Call, error] {
	return func(yield func(Call, error) bool) {
		first := map[uint64]bool{}
		for c, err := range calls {
			index := b.canary.rows
			b.canary.rows++
			c.Row = cmp.Or(c.Row, index+1)
			if err == nil {
				err = c.check(index)
			}
			if err == nil {
				h := maphash.String(b.marks.seed, string(c.Token))
				if !first[h] && len(first) == b.Canary {
					continue
				}
				first[h] = true
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// awaitCanaries waits until all canaries have succeeded, or until those that have not need
// a person: a *CanaryError. A call that somebody else adds to the batch meanwhile is no
// canary.
func (b *batchRun) awaitCanaries(ctx context.Context, name string) error {
	var held error
	var last ledger.Counts
	err := ledger.Wait(ctx, func() (changed, done bool, err error) {
		counts, err := b.p.ledger.CountsAmong(ctx, b.id, b.canary.calls)
		if err != nil {
			return false, false, err
		}
		now := Canaries{b.Canary, counts.Total, counts.Succeeded, counts.Failed, counts.Skipped, counts.Cancelled, counts.Open()}
		changed, last = counts != last, counts
		if b.OnCanary != nil {
			b.OnCanary(now)
		}
		if counts.Settled() && counts.Succeeded < counts.Total {
			held = &CanaryError{Batch: name, Canaries: now}
		}
		return changed, counts.Settled(), nil
	})
	return cmp.Or(err, held)
}
