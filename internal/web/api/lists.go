package api

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"time"

	"habilita/internal/control"
	"habilita/internal/membership"
	"habilita/internal/web/guard"
	"habilita/internal/web/hub"
)

// page is a part of a list, as answers show it.
type page[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"` // cursor of the page after this one; null: this is the last one
	// Unread is how many of the 1,024 parts of the ledger could not be read; absent: none.
	Unread int `json:"unread,omitempty"`
}

func paged[T any](p control.Page[T]) page[T] {
	out := page[T]{Items: append([]T{}, p.Items...), Unread: p.Unread} // an empty one is [], not null
	if p.Next != "" {
		out.Next = &p.Next
	}
	return out
}

// list makes the handler of a list that is read page by page.
func list[T any](read func(ctx context.Context, cursor string, limit int) (control.Page[T], error)) handler {
	return func(w http.ResponseWriter, r *http.Request, q url.Values) error {
		cursor, limit, err := pageOf(q)
		if err != nil {
			return err
		}
		p, err := read(r.Context(), cursor, limit)
		if errors.Is(err, control.ErrCursor) {
			return refuseField(badParameter, "cursor", "is not of this list: take next of the last answer, or leave it out")
		}
		return answer(w, http.StatusOK, paged(p), err)
	}
}

func (a *API) showBatch(w http.ResponseWriter, r *http.Request, q url.Values) error {
	d, err := waitOf(q)
	if err != nil {
		return err
	}
	name := r.PathValue("batch")
	l, err := a.lookAtBatch(r.Context(), name)
	if err == nil && d > 0 && !l.settled {
		w = guard.Answer(w, r, a.Standstill)
		topic := hub.Topic{Key: "batch " + name, Read: func(ctx context.Context) (any, error) { return a.lookAtBatch(ctx, name) }}
		l.seen, err = wait(r.Context(), a.looks, d, topic, l.seen)
	}
	return answer(w, http.StatusOK, l.seen, err)
}

func (a *API) listCalls(w http.ResponseWriter, r *http.Request, q url.Values) error {
	state, err := oneOf(q, "state", control.States()...)
	if err != nil {
		return err
	}
	return list(func(ctx context.Context, cursor string, limit int) (control.Page[control.CallRecord], error) {
		return a.Control.CallsPage(ctx, r.PathValue("batch"), control.CallsQuery{Cursor: cursor, Limit: limit, State: state, Ref: q.Get("ref")})
	})(w, r, q)
}

// report streams a whole batch in CSV. If it can't be completed, the connection is cut, so
// that nobody takes the report for whole.
func (a *API) report(w http.ResponseWriter, r *http.Request, q url.Values) error {
	state, err := oneOf(q, "state", control.States()...)
	if err != nil {
		return err
	}
	name, filter := r.PathValue("batch"), control.CallsQuery{State: state, Ref: q.Get("ref")}
	if _, err := a.Control.Status(r.Context(), name); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name + ".csv"}))
	h.Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	if err := a.Control.ReportCSV(r.Context(), guard.Answer(w, r, a.Standstill), name, filter); err != nil {
		a.Log.Warn().Err(err).Msg("a report over HTTP was cut off")
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (a *API) listChains(w http.ResponseWriter, r *http.Request, q url.Values) error {
	state, err := oneOf(q, "state", "held", "all")
	if err != nil {
		return err
	}
	return list(func(ctx context.Context, cursor string, limit int) (control.Page[control.Chain], error) {
		return a.Control.ChainsPage(ctx, state == "held", cursor, limit)
	})(w, r, q)
}

// show makes a handler that answers with what read finds.
func show[T any](read func(*http.Request) (T, error)) handler {
	return func(w http.ResponseWriter, r *http.Request, _ url.Values) error {
		v, err := read(r)
		return answer(w, http.StatusOK, v, err)
	}
}

func (a *API) chain(r *http.Request) (control.Chain, error) {
	return a.Control.Chain(r.Context(), r.PathValue("chain"))
}

// worker is a live worker process.
type worker struct {
	ID        string       `json:"id"`
	Host      string       `json:"host"`
	PID       int          `json:"pid"`
	Version   string       `json:"version"`
	StartedAt control.Time `json:"started_at"` // by its own clock
}

func (a *API) workers(r *http.Request) (page[worker], error) {
	alive, err := a.Registry.Alive(r.Context())
	out := page[worker]{Items: []worker{}}
	for _, p := range membership.Workers(alive) {
		out.Items = append(out.Items, worker{p.ID, p.Host, p.PID, p.Version, control.Time{Time: p.Started.Truncate(time.Millisecond)}})
	}
	return out, err
}
