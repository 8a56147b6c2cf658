package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
)

// CallRecord is a call and its result, as `enqueue report` gives it.
type CallRecord = ledger.Call

// Time is a point in time as outputs have it.
type Time = ledger.Time

// Columns are the names of a CallRecord's fields, in order.
func Columns() []string {
	return []string{"id", "server", "token_id", "ref", "chain", "state", "attempts", "code", "msg", "error",
		"enqueued_at", "started_at", "finished_at", "row", "reason"}
}

// Fields are a call's values under Columns, as text.
func Fields(r CallRecord) []string {
	row := ""
	if r.Row > 0 {
		row = strconv.Itoa(r.Row)
	}
	return []string{r.ID, r.Server, r.TokenID, r.Ref, r.Chain, string(r.State), strconv.Itoa(r.Attempts), r.Code, r.Msg, r.Error,
		r.EnqueuedAt.String(), r.StartedAt.String(), r.FinishedAt.String(), row, r.Reason}
}

// Report streams the calls of a batch, in no order. A call that changes meanwhile is
// seen before or after the change. An error, such as an *UnknownError, is the last
// thing that is yielded: where Unread tells it, after the calls that could be read.
func (o *Control) Report(ctx context.Context, batchName string) iter.Seq2[CallRecord, error] {
	return func(yield func(CallRecord, error) bool) {
		m, tags, err := o.batch(ctx, batchName)
		if err != nil {
			yield(CallRecord{}, err)
			return
		}
		for c, err := range o.ledger.Calls(ctx, m.ID, tags) {
			if !yield(c, of(err, "calls of batch %q", m.Name)) {
				return
			}
		}
	}
}

// ReportCSV writes those calls of a batch that q wants, as Report streams them.
func (o *Control) ReportCSV(ctx context.Context, w io.Writer, batchName string, q CallsQuery) error {
	out, err := NewCSV(w, false)
	if err != nil {
		return err
	}
	for r, err := range o.Report(ctx, batchName) {
		if err == nil && q.Wants(r) {
			err = out.Write(r)
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

// Record returns one call by the short name of its batch, its token_id and its key. There
// is none: errors.Is ledger.ErrNoCall.
func (o *Control) Record(ctx context.Context, batchID, tokenID, key string) (CallRecord, error) {
	return o.ledger.Call(ctx, batchID, tokenID, key)
}

// Show returns the calls that bear an id: one, or several where it was given in
// several batches or for several tokens. None is an *UnknownError.
func (o *Control) Show(ctx context.Context, id string) ([]CallRecord, error) {
	calls, err := o.ledger.Find(ctx, id)
	if err == nil && len(calls) == 0 {
		return nil, &UnknownError{ledger.ErrNoCall, id}
	}
	return calls, of(err, "call %q", id)
}

// BatchOf returns the batch that a call belongs to. It is the zero Batch for none, and for one whose
// retention has just ended. Unread tells the error if the batch can't be read.
func (o *Control) BatchOf(ctx context.Context, r CallRecord) (ledger.Batch, error) {
	if r.Batch == ledger.NoBatch || r.Batch == "" {
		return ledger.Batch{}, nil
	}
	m, err := o.batches.Get(ctx, r.Batch)
	switch {
	case err == nil, errors.Is(err, ledger.ErrNoBatch):
		return m, nil
	case ctx.Err() == nil:
		err = redisconn.Unreadable(redisconn.Batches, r.Batch, err)
	}
	return m, fmt.Errorf("batch of call %q: %w", r.ID, err)
}

// BatchName returns the name of the batch that a call belongs to, "" for none.
func (o *Control) BatchName(ctx context.Context, r CallRecord) (string, error) {
	m, err := o.BatchOf(ctx, r)
	return m.Name, err
}
