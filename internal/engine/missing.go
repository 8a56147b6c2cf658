package engine

import (
	"context"
	"fmt"
	"slices"

	"habilita/internal/ledger"
)

const (
	// So many missing calls, or such a part of the batch, are pruned without being named.
	pruneFree  = 20
	pruneTenth = 10
	// perScan is how many buckets a scan of the batch looks at together.
	perScan = 32
)

// prunable says why so many missing calls are not pruned; nil: they are.
func (b *batchRun) prunable(missing, total int) error {
	if b.PruneExactly > 0 && missing != b.PruneExactly || b.PruneExactly == 0 && missing > pruneFree && missing*pruneTenth > total {
		return &PruneCountError{Missing: missing, Total: total, Named: b.PruneExactly}
	}
	return nil
}

// countMissing counts the calls of the batch that the sequence has no more.
func (b *batchRun) countMissing(ctx context.Context) error {
	if b.canary.first || b.part || !b.existed {
		return nil
	}
	counts, tags, err := b.p.counts(ctx, b.id)
	if err != nil {
		return err
	}
	b.total = counts.Total
	n := b.out.acknowledged().landed
	there := b.sum.Duplicates + n[ledger.Unsent] + n[ledger.Conflict] + n[ledger.Twin]
	if !b.Look {
		there += n[ledger.Fresh]
	}
	if there >= counts.Total { // all of it came in this run, or was known to it
		return nil
	}
	return b.eachMissing(ctx, tags, func(fields []string) error {
		b.sum.Missing += len(fields)
		return nil
	})
}

// eachMissing passes the missing calls of the batch to f, by Field, those of one bucket at a
// time.
func (b *batchRun) eachMissing(ctx context.Context, tags []string, f func(fields []string) error) error {
	for part := range slices.Chunk(tags, perScan) {
		held, err := b.heldHeads(ctx, part)
		if err != nil {
			return err
		}
		missing := map[string][]string{} // by bucket
		for c, err := range b.p.ledger.Calls(ctx, b.id, part) {
			if err != nil {
				return err
			}
			open := c.State.Open() || c.State == ledger.StateFailed && held[c.Field()]
			if c.Row > 0 && open && !b.rows.has(c.TokenID, c.Key) {
				tag := ledger.Tag(c.TokenID)
				missing[tag] = append(missing[tag], c.Field())
			}
		}
		for _, fields := range missing {
			if err := f(fields); err != nil {
				return err
			}
		}
	}
	return nil
}

// heldHeads are the calls of the batch that hold their chains.
func (b *batchRun) heldHeads(ctx context.Context, tags []string) (map[string]bool, error) {
	held := map[string]bool{}
	for c, err := range b.p.ledger.Chains(ctx, tags, true) {
		if err != nil {
			return nil, err
		}
		if c.Head.Batch == b.id {
			held[c.Head.Field()] = true
		}
	}
	return held, nil
}

// replaceUnsent takes out what conflicts with calls of the groups and was never sent, so that
// these are new.
func (b *batchRun) replaceUnsent(ctx context.Context, a ledger.Append, groups []*ledger.Group) error {
	look := a
	look.Look, look.Replaces = true, true
	found, err := b.sent(b.p.ledger.AppendGroups(ctx, look, groups))
	if err != nil {
		return err
	}
	for i, g := range groups {
		var fields []string
		for j, landing := range []byte(found.Received[i].Landings) {
			if ledger.Landing(landing) == ledger.Unsent {
				fields = append(fields, g.Field(j))
			}
		}
		n, err := b.p.ledger.Prune(ctx, b.id, ledger.NeverSent, fields)
		b.out.replaced(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// complete prunes, where that was asked for, and notes whether the run left nothing out.
func (b *batchRun) complete(ctx context.Context, sum *Summary) error {
	if b.Prune {
		if err := b.pruneMissing(ctx, sum); err != nil {
			return err
		}
	}
	if !b.job.stay.begun || !sum.Complete() {
		return nil
	}
	return b.p.batches.Completed(ctx, b.id, b.job.stay.run)
}

// mayPrune says why what is missing is not pruned; nil: it is.
func (b *batchRun) mayPrune(sum Summary) error {
	if !sum.Complete() {
		return ErrRowsMissing
	}
	return b.prunable(sum.Missing, b.total)
}

func (b *batchRun) pruneMissing(ctx context.Context, sum *Summary) error {
	if sum.NotPruned = b.mayPrune(*sum); sum.NotPruned != nil || sum.Missing == 0 {
		return nil
	}
	alone, err := b.p.batches.Alone(ctx, b.id, b.job.stay.run)
	if err != nil {
		return err
	}
	if !alone {
		sum.NotPruned = ErrOtherRun
		return nil
	}
	tags, err := b.p.batches.Tags(ctx, b.id)
	if err != nil {
		return err
	}
	err = b.eachMissing(ctx, tags, func(fields []string) error {
		n, err := b.p.ledger.Prune(ctx, b.id, ledger.FromFile, fields)
		sum.Pruned += n
		return err
	})
	if err != nil {
		return fmt.Errorf("prune was cut off after %d: %w", sum.Pruned, err)
	}
	return nil
}
