package control

import (
	"context"
	"errors"

	"habilita/internal/ledger"
)

// FinishedCall is a call that ended and whose producer asked to be told.
type FinishedCall struct {
	CallRecord
	Batch string `json:"batch"` // "" none
}

// finishedAtOnce is how many ends of one part of the ledger EachFinished looks at.
const finishedAtOnce = 100

// EachFinished gives tell the calls that ended since it was called last and whose producers asked for it. A call for which
// tell returns an error comes again. One that goes on meanwhile (a person retried it) comes when it has ended again.
func (o *Control) EachFinished(ctx context.Context, tell func(FinishedCall) error) error {
	all, err := o.ledger.Finished(ctx, finishedAtOnce)
	if !partly(err) {
		return err
	}
	for _, f := range all {
		c, failed := o.ledger.Call(ctx, f.Batch, f.Token, f.Key)
		if failed == nil && !c.State.Open() {
			r := FinishedCall{CallRecord: record(c)}
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
