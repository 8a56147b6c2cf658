package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"habilita/internal/control"
	"habilita/internal/web/guard"
)

// decided is what a decision did.
type decided struct {
	Action string `json:"action"`
	Count  int    `json:"count"`
	Unit   string `json:"unit"` // what was counted: chain or call
	// Unread is how many parts of the ledger could not be read, and so not decided about; absent: none.
	Unread int `json:"unread,omitempty"`
}

// deciding makes the handler of a decision, which goes on if its caller leaves. It refuses a body: a filter that nobody
// reads must not decide about everything. Clients that always send JSON may send {}.
func deciding(do handler) handler {
	return func(w http.ResponseWriter, r *http.Request, q url.Values) error {
		body, err := io.ReadAll(r.Body)
		if text := strings.TrimSpace(string(body)); err != nil || text != "" && text != "{}" {
			return refuse(badRequest, "this takes no body, since the path says what is decided about: nothing was done")
		}
		ctx, cancel := guard.Deciding(r.Context())
		defer cancel()
		return do(w, r.WithContext(ctx), q)
	}
}

// decide makes the handler of a decision about the batch or chain that the path names.
func decide(name, unit string, act func(context.Context, control.Selection) (int, error)) handler {
	return deciding(func(w http.ResponseWriter, r *http.Request, _ url.Values) error {
		n, err := act(r.Context(), control.Selection{Batch: r.PathValue("batch"), Chain: r.PathValue("chain")})
		unread, err := control.SplitUnread(err)
		return answer(w, http.StatusOK, decided{name, n, unit, unread}, err)
	})
}

// asKey returns a context in which the key of the request decides. Each decision also goes to this
// worker's own log.
func (a *API) asKey(ctx context.Context) context.Context {
	return control.WithActor(ctx, control.Actor{Who: guard.From(ctx).Name, Via: control.ByAPI, Told: func(e control.AuditEntry, err error) {
		a.Log.Err(err).Str("who", e.Who).Str("action", e.Action).Str("target", e.Target).Str("result", e.Result).Msg("somebody decided over HTTP")
	}})
}

func (a *API) schedules(r *http.Request) (page[control.Schedule], error) {
	all, err := a.Control.Schedules(r.Context())
	unread, err := control.SplitUnread(err)
	return paged(control.Page[control.Schedule]{Items: all, Unread: unread}), err
}

func (a *API) schedule(r *http.Request) (control.Schedule, error) {
	s, err := a.Control.Schedule(r.Context(), r.PathValue("schedule"))
	_, err = control.SplitUnread(err) // its runs' counts say what they lack
	return s, err
}

// acted is what became of a schedule.
type acted struct {
	Action   string `json:"action"`
	Schedule string `json:"schedule"`
	Changed  bool   `json:"changed"` // false: it was so already
	Stopped  string `json:"stopped_batch,omitempty"`
}

// act makes the handler of pause and resume.
func act(name string, do func(ctx context.Context, schedule string) (changed bool, err error)) handler {
	return deciding(func(w http.ResponseWriter, r *http.Request, _ url.Values) error {
		changed, err := do(r.Context(), r.PathValue("schedule"))
		return answer(w, http.StatusOK, acted{name, r.PathValue("schedule"), changed, ""}, err)
	})
}

func (a *API) removeSchedule(w http.ResponseWriter, r *http.Request, _ url.Values) error {
	stopped, err := a.Control.RemoveSchedule(r.Context(), r.PathValue("schedule"))
	return answer(w, http.StatusOK, acted{"remove", r.PathValue("schedule"), true, stopped}, err)
}

// asked is the answer to a run that was asked for.
type asked struct {
	Schedule string `json:"schedule"`
	Batch    string `json:"batch"`
	Status   string `json:"status"` // where the batch can be followed, once a worker has made it
}

func (a *API) runSchedule(w http.ResponseWriter, r *http.Request, q url.Values) error {
	overlap, err := isSet(q, "overlap")
	if err != nil {
		return err
	}
	name := r.PathValue("schedule")
	batch, err := a.Control.RunSchedule(r.Context(), name, overlap)
	if err == nil {
		w.Header().Set("Location", batchPath(batch))
	}
	return answer(w, http.StatusAccepted, asked{name, batch, batchPath(batch)}, err)
}
