package console

import (
	"context"
	"net/url"
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

type schedulesData struct {
	Schedules []scheduleView
	More      int // that are not shown
}

func (c *Console) readSchedules(ctx context.Context, _ url.Values) (l listing, err error) {
	all, _, err := c.o.Schedules.All(ctx)
	if l.Unread, err = control.SplitUnread(err); err != nil {
		return l, err
	}
	d := schedulesData{More: max(0, len(all)-maxSchedules)}
	for _, s := range all[:len(all)-d.More] {
		v := scheduleView{State: s}
		runs, err := c.o.Schedules.Runs(ctx, s.Name)
		if err != nil {
			return l, err
		}
		if len(runs) > 0 {
			v.Last = &runs[0]
		}
		d.Schedules = append(d.Schedules, v)
	}
	l.Data = d
	return l, nil
}
