package httpapi

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"

	"habilita/internal/batch"
	"habilita/internal/intake"
	"habilita/internal/operator"
	"habilita/internal/problem"
	"habilita/internal/streaming"
	"habilita/tasks"
)

// summary is the answer to a batch that was enqueued: that of `enqueue bulk --json`, and
// what is wrong with rows.
type summary struct {
	Batch         string          `json:"batch"`
	Rows          int             `json:"rows"`
	Enqueued      int             `json:"enqueued"`
	Duplicates    int             `json:"duplicates"`
	Rejected      int             `json:"rejected"`
	Tokens        int             `json:"tokens"`
	Seconds       float64         `json:"seconds"`
	Errors        []problem.Field `json:"errors"`         // of the first MaxErrors rows that were rejected
	ErrorsOmitted int             `json:"errors_omitted"` // rejected rows that are not named
	Advice        string          `json:"advice,omitempty"`
	Status        string          `json:"status"` // where the batch can be followed
	Due           operator.Time   `json:"due_at"` // when its calls join their chains; null: at once
}

// badTextAdvice is what to do about bytes that are no text.
var badTextAdvice = intake.Advice("give Content-Type its charset=windows-1252")

// upload is one batch that comes in.
type upload struct {
	name string
	line int // of the row that is read
	out  summary
}

func (a *API) enqueueBatch(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "batch", "on_failure", "at", "in")
	if err != nil {
		return err
	}
	u := &upload{name: q.Get("batch"), out: summary{Errors: []problem.Field{}}}
	if p := batch.NameProblem(u.name); p != "" {
		return refuseField(badParameter, "batch", "%s", p)
	}
	onFailure, err := oneOf(q, "on_failure", string(batch.Hold), string(batch.Skip), string(batch.Cancel))
	if err != nil {
		return err
	}
	now := time.Now()
	at, err := notBefore(q, now)
	if err != nil {
		return err
	}
	media, encoding, err := mediaTypes(r, "text/csv", "application/x-ndjson")
	if err != nil {
		return err
	}
	format := intake.CSV
	if media == "application/x-ndjson" {
		format = intake.JSONLines
	}
	u.out.Due.Time = ahead(at, now)
	r.Body = http.MaxBytesReader(w, r.Body, a.MaxBatch)
	body := streaming.Body(w, r, a.Standstill)
	opts := []tasks.BatchOption{tasks.OnFailure(onFailure), tasks.OnReject(u.reject)}
	if !at.IsZero() {
		opts = append(opts, tasks.NotBefore(at))
	}
	ctx, done := streaming.Outlive(r.Context())
	defer done()
	sum, err := a.Producer.EnqueueBatch(ctx, u.name, u.calls(body, format, encoding), opts...)
	u.fill(sum)
	w = streaming.Answer(w, r, a.Standstill)
	if err != nil {
		return a.broken(w, r, u, err)
	}
	w.Header().Set("Location", u.out.Status)
	return answer(w, http.StatusAccepted, u.out)
}

func (u *upload) calls(body io.Reader, format intake.Format, encoding intake.Encoding) iter.Seq2[tasks.Call, error] {
	return func(yield func(tasks.Call, error) bool) {
		checks := intake.Vendor()
		checks.Encoding = encoding
		for row, err := range intake.Rows(body, "body", format, checks) {
			u.line = row.Line
			c := tasks.Call{Server: row.Server, Token: tasks.Token(row.Token), Licenses: row.Licenses, Chain: row.Chain, Ref: row.Ref, ID: row.ID}
			if !yield(c, err) {
				return
			}
		}
	}
}

// reject names a row that can't be one; what is no row's fault ends the run.
func (u *upload) reject(err error) error {
	var row *intake.RowError
	var call *tasks.CallError
	f := problem.Field{Line: u.line}
	switch {
	case errors.As(err, &row):
		f = problem.Field{Line: row.Line, Field: row.Field, Problem: row.Problem}
		if row.BadText {
			u.out.Advice = badTextAdvice
		}
	case errors.As(err, &call):
		f.Field, f.Problem = call.Field, call.Problem
	default:
		return err
	}
	if len(u.out.Errors) < MaxErrors {
		u.out.Errors = append(u.out.Errors, f)
	} else {
		u.out.ErrorsOmitted++
	}
	return nil
}

func (u *upload) fill(s tasks.Summary) {
	u.out.Batch, u.out.Rows, u.out.Enqueued, u.out.Duplicates = u.name, s.Rows, s.Enqueued, s.Duplicates
	u.out.Rejected, u.out.Tokens, u.out.Seconds = s.Rejected, s.Tokens, s.Elapsed.Seconds()
	u.out.Status = batchPath(u.name)
}

// broken answers a batch that was not read to its end: what was wrong, and how far it
// came.
func (a *API) broken(w http.ResponseWriter, r *http.Request, u *upload, err error) error {
	var file *intake.FileError
	if errors.As(err, &file) {
		if file.Err != nil {
			err = fmt.Errorf("%w: %w", errBody, err)
		} else {
			p := invalid
			p.Detail = file.Problem
			if file.BadText {
				p.Detail += ": " + badTextAdvice
			}
			p.Errors = []problem.Field{{Line: file.Line, Problem: file.Problem}}
			err = &refusal{p}
		}
	}
	p := a.problemOf(r, err)
	if n := u.out.Enqueued + u.out.Duplicates; n > 0 {
		with := ""
		if due := u.out.Due; !due.IsZero() {
			with = " with at=" + due.Format(time.RFC3339Nano)
		}
		p.Detail += fmt.Sprintf("; %d rows before it are enqueued, and sending all of them again%s adds only what is missing", n, with)
	}
	return &refusal{p}
}

func batchPath(name string) string { return "/v1/batches/" + url.PathEscape(name) }
