package control

import (
	"context"
	"errors"
	"iter"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
)

// ScheduledCall is a call that is not due yet: it joins the end of its chain when it is.
type ScheduledCall = ledger.Scheduled

// Scheduled streams the calls that are not due yet, in no order. An error comes last.
func (o *Control) Scheduled(ctx context.Context) iter.Seq2[ScheduledCall, error] {
	return each[ScheduledCall](o.eachScheduled).stream(ctx)
}

func (o *Control) eachScheduled(ctx context.Context, _ string, yield func(ScheduledCall) bool) error {
	buckets, unread := o.buckets(ctx)
	var tags []string
	for _, b := range buckets {
		if b.Delayed > 0 {
			tags = append(tags, b.Tag)
		}
	}
	for s, err := range o.ledger.Scheduled(ctx, tags) {
		if err != nil {
			unread = errors.Join(unread, of(err, "scheduled calls"))
		} else if !yield(s) {
			break
		}
	}
	return unread
}

// DueAt returns when a call that Show returned is due; zero for one that is not scheduled.
func (o *Control) DueAt(ctx context.Context, r CallRecord) (Time, error) {
	due, err := o.ledger.Due(ctx, r.Batch, r.TokenID, r.Key)
	return Time{Time: due}, of(err, "call %q", r.ID)
}

// BatchCall is a call with the name of its batch.
type BatchCall struct {
	CallRecord
	Batch string `json:"batch"` // "" none
}

// finishedAtOnce is how many ended calls of one part of the ledger EachFinished looks at.
const finishedAtOnce = 100

// EachFinished passes to tell the calls that ended since it was last called and whose producers asked for it. If tell
// returns an error, the call comes again. A call that a person retried meanwhile comes when it has ended again.
func (o *Control) EachFinished(ctx context.Context, tell func(BatchCall) error) error {
	all, err := o.ledger.Finished(ctx, finishedAtOnce)
	if !redisconn.Partly(err) {
		return err
	}
	for _, f := range all {
		c, failed := o.ledger.Call(ctx, f.Batch, f.Token, f.Key)
		if failed == nil && !c.State.Open() {
			r := BatchCall{CallRecord: c}
			if r.Batch, failed = o.BatchName(ctx, r.CallRecord); failed == nil {
				failed = tell(r)
			}
		}
		if errors.Is(failed, ledger.ErrNoCall) { // its retention is over
			failed = nil
		}
		if failed == nil {
			failed = o.ledger.Told(ctx, f)
		}
		err = errors.Join(err, failed)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return err
}
