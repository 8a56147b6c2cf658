package console

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"time"

	"habilita/internal/breaker"
	"habilita/internal/control"
	"habilita/internal/membership"
	"habilita/internal/schedule"
)

// serverMeter is the share of a server's requests that failed.
func serverMeter(h breaker.ServerStatus) meter { return meterOf(h.Failures, h.Requests, 10, 50) }

type serversData struct {
	Servers []breaker.ServerStatus
	More    int // that are not shown
}

// maxServers is how many servers the page shows, those with most trouble first.
const maxServers = 200

func (c *Console) readServers(ctx context.Context, _ url.Values) (listing, error) {
	all, err := c.o.Servers.Servers(ctx, time.Time{})
	trouble := func(h breaker.ServerStatus) int {
		if h.State != breaker.Closed {
			return 101 // more than any share
		}
		return serverMeter(h).Percent
	}
	slices.SortStableFunc(all, func(a, b breaker.ServerStatus) int { return cmp.Compare(trouble(b), trouble(a)) })
	shown := min(maxServers, len(all))
	return listing{Data: serversData{all[:shown], len(all) - shown}}, err
}

type workersData struct {
	Workers, Others []membership.Process
}

func (c *Console) readWorkers(ctx context.Context, _ url.Values) (listing, error) {
	all, err := c.o.Processes.Alive(ctx)
	others := slices.DeleteFunc(slices.Clone(all), func(p membership.Process) bool { return p.Kind == membership.Worker })
	return listing{Data: workersData{membership.Workers(all), others}}, err
}

// maxSchedules is how many schedules the page shows: each takes a read of its own.
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
