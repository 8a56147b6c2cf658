package operator

import (
	"context"
	"fmt"
	"iter"

	"habilita/internal/batch"
)

// Status are the counts of a batch. Total = Succeeded + Failed + Skipped + Cancelled + Open.
type Status struct {
	Batch      string `json:"batch"`
	Total      int    `json:"total"`
	Succeeded  int    `json:"succeeded"`
	Failed     int    `json:"failed"` // given up, and still so
	Skipped    int    `json:"skipped"`
	Cancelled  int    `json:"cancelled"`
	Open       int    `json:"open"`        // no result yet
	HeldChains int    `json:"held_chains"` // whose head is a call of this batch
	Settled    bool   `json:"settled"`     // nothing more happens without a person
	CreatedAt  Time   `json:"created_at"`
	SettledAt  Time   `json:"settled_at"` // null while it isn't

	Policy batch.Policy `json:"-"`
}

// Ended is how many calls have a result.
func (s Status) Ended() int { return s.Total - s.Open }

// AllSucceeded reports whether every call succeeded.
func (s Status) AllSucceeded() bool { return s.Succeeded == s.Total }

// Status returns the counts of a batch, or an *UnknownBatchError.
func (o *Operator) Status(ctx context.Context, batchName string) (Status, error) {
	m, tags, err := o.batch(ctx, batchName)
	if err != nil {
		return Status{}, err
	}
	return o.status(ctx, m, tags)
}

func (o *Operator) status(ctx context.Context, m batch.Meta, tags []string) (Status, error) {
	c, err := o.ledger.Counts(ctx, m.ID, tags)
	if err != nil {
		return Status{}, fmt.Errorf("counts of batch %q: %w", m.Name, err)
	}
	s := Status{
		Batch: m.Name, Total: c.Total, Succeeded: c.Succeeded, Failed: c.Failed, Skipped: c.Skipped,
		Cancelled: c.Cancelled, Open: c.Open(), HeldChains: c.HeldChains, Settled: c.Settled(),
		CreatedAt: Time{m.Created}, Policy: m.Policy,
	}
	if s.Settled {
		if s.SettledAt = (Time{c.Changed}); c.Changed.IsZero() {
			s.SettledAt = s.CreatedAt // a batch with no call
		}
	}
	return s, nil
}

// Batches streams the counts of all batches, the newest first.
func (o *Operator) Batches(ctx context.Context) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		all, err := o.batches.List(ctx)
		if err != nil {
			yield(Status{}, fmt.Errorf("list of the batches: %w", err))
			return
		}
		for _, m := range all {
			tags, err := o.batchTags(ctx, m)
			var s Status
			if err == nil {
				s, err = o.status(ctx, m, tags)
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}
