package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
)

// CallRecord is a call and its result, as `enqueue report` gives it.
type CallRecord struct {
	ID         string `json:"id"`
	Server     string `json:"server"`
	TokenID    string `json:"token_id"` // the HMAC name of the token, never the token
	Ref        string `json:"ref"`
	Chain      string `json:"chain"` // its id, as --chain takes it
	State      string `json:"state"` // queued, running, waiting, succeeded, failed, skipped or cancelled
	Attempts   int    `json:"attempts"`
	Code       string `json:"code"`  // the vendor's, of the last attempt
	Msg        string `json:"msg"`   // the vendor's
	Error      string `json:"error"` // ours
	EnqueuedAt Time   `json:"enqueued_at"`
	StartedAt  Time   `json:"started_at"` // the first attempt's
	FinishedAt Time   `json:"finished_at"`
	Row        int    `json:"row"` // line of the file that first brought it; 0: none
	// Reason is the code of what went wrong at the last attempt, "" where nothing did: as of
	// the vendor's refusals (wolkvox.Kind), or ledger.ReasonUnknown and the others beside it.
	Reason string `json:"reason"`

	batch string // short name
	key   string // in its batch and token
}

// Key is the call's key in its batch and token (ledger.Call.Key).
func (r CallRecord) Key() string { return r.key }

// Columns are the names of a CallRecord's fields, in order.
func Columns() []string {
	return []string{"id", "server", "token_id", "ref", "chain", "state", "attempts", "code", "msg", "error",
		"enqueued_at", "started_at", "finished_at", "row", "reason"}
}

// Fields are the values under Columns, as text.
func (r CallRecord) Fields() []string {
	return []string{r.ID, r.Server, r.TokenID, r.Ref, r.Chain, r.State, strconv.Itoa(r.Attempts), r.Code, r.Msg, r.Error,
		r.EnqueuedAt.String(), r.StartedAt.String(), r.FinishedAt.String(), rowText(r.Row), r.Reason}
}

func rowText(row int) string {
	if row == 0 {
		return ""
	}
	return strconv.Itoa(row)
}

// Open reports whether the call has no result yet.
func (r CallRecord) Open() bool { return ledger.State(r.State).Open() }

// Succeeded reports whether the vendor did it.
func (r CallRecord) Succeeded() bool { return r.State == string(ledger.StateSucceeded) }

func record(c ledger.Call) CallRecord {
	return CallRecord{
		ID: c.ID(), Server: c.Server, TokenID: c.Token, Ref: c.Ref, Chain: c.ChainID(), State: string(c.State),
		Attempts: c.Attempts, Code: c.Code, Msg: c.Msg, Error: c.Err,
		EnqueuedAt: Time{c.Enqueued}, StartedAt: Time{c.Started}, FinishedAt: Time{c.Finished}, Row: c.Row, Reason: c.Reason, batch: c.Batch, key: c.Key,
	}
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
			if err != nil {
				yield(CallRecord{}, fmt.Errorf("calls of batch %q: %w", m.Name, err))
				return
			}
			if !yield(record(c), nil) {
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
	c, err := o.ledger.Call(ctx, batchID, tokenID, key)
	if err != nil {
		return CallRecord{}, err
	}
	return record(c), nil
}

// Show returns the calls that bear an id: one, or several where it was given in
// several batches or for several tokens. None is an *UnknownError.
func (o *Control) Show(ctx context.Context, id string) ([]CallRecord, error) {
	calls, err := o.ledger.Find(ctx, id)
	if err != nil && !errors.Is(err, ledger.ErrNoCall) {
		return nil, fmt.Errorf("call %q: %w", id, err)
	}
	if len(calls) == 0 {
		return nil, &UnknownError{ledger.ErrNoCall, id}
	}
	out := make([]CallRecord, len(calls))
	for i, c := range calls {
		out[i] = record(c)
	}
	return out, nil
}

// BatchID is the short name of the batch that the call belongs to.
func (r CallRecord) BatchID() string { return r.batch }

// BatchOf returns the batch that a call belongs to. It is the zero Batch for none, and for one whose
// retention has just ended. Unread tells the error if the batch can't be read.
func (o *Control) BatchOf(ctx context.Context, r CallRecord) (ledger.Batch, error) {
	if r.batch == ledger.NoBatch || r.batch == "" {
		return ledger.Batch{}, nil
	}
	m, err := o.batches.Get(ctx, r.batch)
	switch {
	case err == nil, errors.Is(err, ledger.ErrNoBatch):
		return m, nil
	case ctx.Err() == nil:
		err = redisconn.Unreadable(redisconn.Batches, r.batch, err)
	}
	return m, fmt.Errorf("batch of call %q: %w", r.ID, err)
}

// BatchName returns the name of the batch that a call belongs to, "" for none.
func (o *Control) BatchName(ctx context.Context, r CallRecord) (string, error) {
	m, err := o.BatchOf(ctx, r)
	return m.Name, err
}

// layout is RFC 3339 with milliseconds.
const layout = "2006-01-02T15:04:05.000Z07:00"

// Time is a point in time as outputs have it: RFC 3339 in UTC with milliseconds. The zero time
// is null in JSON and "" as text.
type Time struct{ time.Time }

// String is the time, or "".
func (t Time) String() string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(layout)
}

// MarshalJSON is the time in quotes, or null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + t.String() + `"`), nil
}
