package api

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/rows"
	"habilita/internal/say"
	"habilita/internal/web/guard"
)

// summary is the answer to a batch that was enqueued: that of `enqueue bulk --json`, and
// what is wrong with rows.
type summary struct {
	engine.SummaryJSON
	Errors        []guard.ProblemField `json:"errors"`         // of the first MaxErrors rows that were left out
	ErrorsOmitted int                  `json:"errors_omitted"` // rows left out that are not named
	Advice        string               `json:"advice,omitempty"`
	Status        string               `json:"status"` // where the batch can be followed
	Due           control.Time         `json:"due_at"` // when its calls join their chains; null: at once
}

// badTextAdvice is what to do about bytes that are not text.
var badTextAdvice = rows.Advice("give Content-Type its charset=windows-1252")

// upload is one batch that comes in.
type upload struct {
	name string
	part bool // it is of a rejects file
	out  summary
}

// pruneOf reads prune and strict.
func pruneOf(q url.Values, o *engine.BatchOptions) (err error) {
	if o.Prune = q.Has("prune"); o.Prune && q.Get("prune") != "" {
		if o.PruneExactly, err = strconv.Atoi(q.Get("prune")); err != nil || o.PruneExactly < 1 {
			return refuseField(badParameter, "prune", "want nothing, or the number of calls to cancel")
		}
	}
	o.Strict, err = isSet(q, "strict")
	return err
}

func (a *API) enqueueBatch(w http.ResponseWriter, r *http.Request, q url.Values) error {
	u := &upload{name: q.Get("batch"), out: summary{Errors: []guard.ProblemField{}}}
	if p := ledger.BatchNameProblem(u.name); p != "" {
		return refuseField(badParameter, "batch", "%s", p)
	}
	onFailure, err := oneOf(q, "on_failure", ledger.Policies()...)
	if err != nil {
		return err
	}
	o := engine.BatchOptions{Policy: ledger.Policy(onFailure), OnReject: u.reject, OnLeftOut: u.leftOut, PartIf: func() bool { return u.part }}
	if o.Notify, err = isSet(q, "notify"); err != nil {
		return err
	}
	if o.NotBefore, err = a.notBefore(r.Context(), q); err != nil {
		return err
	}
	media, encoding, err := mediaTypes(r, "text/csv", "application/x-ndjson")
	if err != nil {
		return err
	}
	format := rows.CSV
	if media == "application/x-ndjson" {
		format = rows.JSONLines
	}
	var body io.Reader = opened(w, r, guard.Body(w, r, a.Standstill), a.MaxBatch)
	if err := pruneOf(q, &o); err != nil {
		return err
	}
	if o.Prune || o.Strict {
		f, _, err := rows.Keep(body)
		if _, own := errors.AsType[*fs.PathError](err); err != nil && !own {
			err = fmt.Errorf("%w: %w", errBody, err)
		}
		if err != nil {
			return err
		}
		defer rows.Drop(f)
		body, u.part = f, rows.FromRejects(rows.Read(f, "body", format, encoding))
	}
	ctx, done := guard.Outlive(r.Context())
	defer done()
	var sum engine.Summary
	err = a.Control.EnqueueBatch(ctx, u.name, func() (control.Outcome, error) {
		sum, err = a.Producer.EnqueueBatch(ctx, u.name, u.calls(body, format, encoding), o)
		return control.Outcome{Count: sum.Enqueued, Of: sum.Rows, Pruned: sum.Pruned, Replaced: sum.Replaced}, err
	})
	u.out.SummaryJSON, u.out.Status, u.out.Due.Time = sum.JSON("prune"), batchPath(u.name), sum.NotBefore
	w = guard.Answer(w, r, a.Standstill)
	if err != nil {
		return a.broken(r, u, err)
	}
	w.Header().Set("Location", u.out.Status)
	return answer(w, http.StatusAccepted, u.out, nil)
}

func (u *upload) calls(body io.Reader, format rows.Format, encoding rows.Encoding) iter.Seq2[engine.Call, error] {
	return func(yield func(engine.Call, error) bool) {
		if f, ok := body.(io.Seeker); ok {
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				yield(engine.Call{}, err)
				return
			}
		}
		for row, err := range rows.Read(body, "body", format, encoding) {
			u.part = u.part || row.FromRejects // one such row is enough
			if !yield(engine.CallOfRow(row, err)) {
				return
			}
		}
	}
}

// reject names a bad row. Any other error ends the run.
func (u *upload) reject(err error) error {
	if row, ok := errors.AsType[*rows.RowError](err); ok {
		if row.BadText {
			u.out.Advice = badTextAdvice
		}
		u.tell(guard.ProblemField{Line: row.Line, Field: row.Field, Problem: row.Problem})
		return nil
	}
	return err
}

// leftOut names a row that is a valid row but was left out.
func (u *upload) leftOut(err error) error {
	line, field, _ := engine.LeftOutRow(err)
	u.tell(guard.ProblemField{Line: line, Field: field, Problem: err.Error()})
	return nil
}

func (u *upload) tell(f guard.ProblemField) {
	if len(u.out.Errors) < MaxErrors {
		u.out.Errors = append(u.out.Errors, f)
	} else {
		u.out.ErrorsOmitted++
	}
}

// broken answers a request whose batch was not read to its end: what was wrong, and how
// far it came.
func (a *API) broken(r *http.Request, u *upload, err error) error {
	if strict, ok := errors.AsType[*engine.StrictError](err); ok {
		p := with(invalid, strict.Error())
		p.Errors = u.out.Errors
		return &refusal{p}
	}
	if file, ok := errors.AsType[*rows.FileError](err); ok && file.Err != nil {
		err = fmt.Errorf("%w: %w", errBody, err)
	} else if ok {
		p := with(invalid, file.Problem)
		if file.BadText {
			p.Detail += ": " + badTextAdvice
		}
		p.Errors = []guard.ProblemField{{Line: file.Line, Problem: file.Problem}}
		err = &refusal{p}
	}
	p := a.problemOf(r, err)
	if n := u.out.Enqueued + u.out.Duplicates; n > 0 {
		with := ""
		if due := u.out.Due; !due.IsZero() {
			with = " with at=" + due.Format(time.RFC3339Nano)
		}
		p.Detail += fmt.Sprintf("; %s enqueued, and sending all rows again%s adds only what is missing",
			say.Plural(n, "row before it is", "rows before it are"), with)
	}
	return &refusal{p}
}

func batchPath(name string) string { return "/v1/batches/" + url.PathEscape(name) }
