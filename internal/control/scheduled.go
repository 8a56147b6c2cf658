package control

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"habilita/internal/ledger"
)

// ScheduledCall is a call that is not due yet: it joins the end of its chain when it is.
type ScheduledCall struct {
	CallRecord
	DueAt Time `json:"due_at"`
}

// Scheduled streams the calls that are not due yet, in no order. An error is the last
// thing that is yielded.
func (o *Control) Scheduled(ctx context.Context) iter.Seq2[ScheduledCall, error] {
	return func(yield func(ScheduledCall, error) bool) {
		buckets, unread := o.buckets(ctx)
		var tags []string
		for _, b := range buckets {
			if b.Delayed > 0 {
				tags = append(tags, b.Tag)
			}
		}
		for s, err := range o.ledger.Scheduled(ctx, tags) {
			if err != nil {
				unread = errors.Join(unread, fmt.Errorf("scheduled calls: %w", err))
			} else if !yield(ScheduledCall{record(s.Call), Time{s.Due}}, nil) {
				return
			}
		}
		if unread != nil {
			yield(ScheduledCall{}, unread)
		}
	}
}

// CountScheduled returns how many calls are not due yet, and when the first one is.
func (o *Control) CountScheduled(ctx context.Context) (n int, next Time, err error) {
	buckets, err := o.buckets(ctx)
	for _, b := range buckets {
		n += b.Delayed
		if !b.NextDelayed.IsZero() && (next.IsZero() || b.NextDelayed.Before(next.Time)) {
			next = Time{b.NextDelayed}
		}
	}
	return n, next, err
}

// DueAt returns when a call that Show returned is due; zero for one that is not scheduled.
func (o *Control) DueAt(ctx context.Context, r CallRecord) (Time, error) {
	all, err := o.ledger.Find(ctx, r.ID)
	if err != nil && !errors.Is(err, ledger.ErrNoCall) {
		return Time{}, fmt.Errorf("call %q: %w", r.ID, err)
	}
	for _, c := range all {
		if c.Token == r.TokenID && c.Batch == r.batch {
			due, err := o.ledger.Due(ctx, c)
			return Time{due}, err
		}
	}
	return Time{}, nil
}
