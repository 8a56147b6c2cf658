package control

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
)

// CallRecord is a call and its result, as `enqueue report` gives it.
type CallRecord = ledger.Call

// Time is a point in time as outputs show it.
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
// seen before or after the change. An error, such as an *UnknownError, comes last. If
// Unread(err) > 0, it comes after the calls that could be read.
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

// Record returns one call by the short name of its batch, its token_id and its key. If there
// is none, the error wraps ledger.ErrNoCall.
func (o *Control) Record(ctx context.Context, batchID, tokenID, key string) (CallRecord, error) {
	return o.ledger.Call(ctx, batchID, tokenID, key)
}

// Show returns the calls that have an id: one, or several if it was given in several
// batches or for several tokens. If there is none, the error is an *UnknownError.
func (o *Control) Show(ctx context.Context, id string) ([]CallRecord, error) {
	calls, err := o.ledger.Find(ctx, id)
	if err == nil && len(calls) == 0 {
		return nil, &UnknownError{ledger.ErrNoCall, id}
	}
	return calls, of(err, "call %q", id)
}

// BatchOf returns the batch that a call belongs to. It is the zero Batch if there is none, or if its
// retention has just ended. If the batch can't be read, Unread(err) > 0.
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

// CSV writes CallRecords for people and their spreadsheets. All reports in CSV are written
// by it: those of the command, HTTP, the pages and the results of a local run.
type CSV struct{ w *csv.Writer }

// NewCSV writes the header to w and returns a writer of records. With excel it begins with a
// byte order mark and separates by semicolons, as Excel wants it where decimals have a comma.
// Flush it at the end. The error is w's.
func NewCSV(w io.Writer, excel bool) (*CSV, error) {
	c := &CSV{csv.NewWriter(w)}
	var err error
	if excel {
		c.w.Comma = ';'
		_, err = io.WriteString(w, "\ufeff")
	}
	return c, errors.Join(err, c.w.Write(Columns()))
}

// Write writes a record.
func (c *CSV) Write(r CallRecord) error {
	fields := Fields(r)
	for i := range fields {
		fields[i] = GuardFormula(fields[i])
	}
	return c.w.Write(fields)
}

// Flush passes what was written on to the underlying writer. The error is that writer's.
func (c *CSV) Flush() error {
	c.w.Flush()
	return c.w.Error()
}

// GuardFormula puts an apostrophe before a text that a spreadsheet would take for a formula. A
// text that has apostrophes there already gets one more, so that dropping one gives the
// text back.
func GuardFormula(s string) string {
	if t := strings.TrimLeft(s, "'"); t != "" && strings.IndexByte("=+-@\t\r\n", t[0]) >= 0 {
		return "'" + s
	}
	return s
}

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
