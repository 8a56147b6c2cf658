package console

import (
	"context"
	"net/http"
	"time"

	"habilita/internal/control"
	"habilita/internal/schedule"
)

// maxSchedules is how many the page shows: each takes a read of its own.
const maxSchedules = 200

// scheduleView is a recurring run, and its last run.
type scheduleView struct {
	schedule.State
	Last *schedule.Run // nil: none
}

// LastAt is when the last run was over; zero for none.
func (v scheduleView) LastAt() time.Time {
	if v.Last == nil {
		return time.Time{}
	}
	return time.UnixMilli(v.Last.Finished)
}

// Running reports whether a worker enqueues a run just now.
func (v scheduleView) Running() bool { return v.Claim.Number > 0 }

// Withheld are the rows of the last run that were left out behind rejected or conflicting ones.
func (v scheduleView) Withheld() int { return v.Last.Withheld - v.Last.Passed }

// BatchPath is the address of the last run's batch.
func (v scheduleView) BatchPath() string { return batchPath(v.Last.Batch) }

type schedulesData struct {
	Schedules []scheduleView
	More      int
	Unread    int // schedules that could not be read
}

func (c *Console) schedulesTopic() topic {
	return topic{"schedules", func(ctx context.Context) (any, error) {
		all, _, err := c.o.Schedules.All(ctx)
		d := schedulesData{Unread: control.Unread(err)}
		if err != nil && d.Unread == 0 {
			return nil, err
		}
		if len(all) > maxSchedules {
			d.More, all = len(all)-maxSchedules, all[:maxSchedules]
		}
		for _, s := range all {
			v := scheduleView{State: s}
			runs, err := c.o.Schedules.Runs(ctx, s.Name)
			if err != nil {
				return nil, err
			}
			if len(runs) > 0 {
				v.Last = &runs[0]
			}
			d.Schedules = append(d.Schedules, v)
		}
		return d, nil
	}}
}

func (c *Console) schedulesPage(w http.ResponseWriter, r *http.Request) {
	v, err := c.read(r.Context(), c.schedulesTopic())
	if err != nil {
		c.failRead(w, r, err)
		return
	}
	p := c.newPage(r, "schedules")
	p.Live, p.Reload, p.Data, p.Unread = eventsURL("schedules"), reloadAfter, v, v.(schedulesData).Unread
	c.show(w, r, http.StatusOK, p)
}
