package api

import (
	"context"
	"net/http"
	"net/url"

	"habilita/internal/control"
)

func (a *API) listSchedules(w http.ResponseWriter, r *http.Request, _ url.Values) error {
	all, err := a.Operator.Schedules(r.Context())
	unread, err := control.SplitUnread(err)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, paged(control.Page[control.Schedule]{Items: all, Unread: unread}))
}

func (a *API) showSchedule(w http.ResponseWriter, r *http.Request, _ url.Values) error {
	s, err := a.Operator.Schedule(r.Context(), r.PathValue("schedule"))
	if _, err := control.SplitUnread(err); err != nil { // its runs' counts say what they lack
		return err
	}
	return answer(w, http.StatusOK, s)
}

// acted is what became of a schedule.
type acted struct {
	Action   string `json:"action"`
	Schedule string `json:"schedule"`
	Changed  bool   `json:"changed"` // false: it was so already
}

// act makes the handler of pause, resume and remove.
func act(name string, do func(ctx context.Context, schedule string) (changed bool, err error)) handler {
	return func(w http.ResponseWriter, r *http.Request, _ url.Values) error {
		schedule := r.PathValue("schedule")
		changed, err := do(r.Context(), schedule)
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, acted{name, schedule, changed})
	}
}

func (a *API) removeSchedule(ctx context.Context, name string) (bool, error) {
	return true, a.Operator.RemoveSchedule(ctx, name)
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
	batch, err := a.Operator.RunSchedule(r.Context(), name, overlap)
	if err != nil {
		return err
	}
	w.Header().Set("Location", batchPath(batch))
	return answer(w, http.StatusAccepted, asked{name, batch, batchPath(batch)})
}
