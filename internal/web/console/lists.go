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
	"habilita/internal/web/hub"
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

// meter is a bar that shows a share of a whole.
type meter struct {
	Percent int    // at least 1 if there is any
	Level   string // ok, near or used, as the bar is coloured
}

// meterOf makes a meter. Its level is near or used from these shares on, in percent.
func meterOf(part, whole, near, used int) meter {
	whole = max(1, whole)
	m := meter{Percent: min(100, max(min(1, part), part*100/whole)), Level: "ok"}
	switch {
	case part*100 >= used*whole:
		m.Level = "used"
	case part*100 >= near*whole:
		m.Level = "near"
	}
	return m
}

// Width is the share in thousandths.
func (m meter) Width() int { return m.Percent * 10 }

// quotaMeter is the share of its quota that a token has used today.
func quotaMeter(r control.QuotaRow) meter { return meterOf(r.Used, r.Quota, 80, 100) }

// slotMarks are the two slots of a token, true for those that are held.
func slotMarks(r control.QuotaRow) []bool {
	return append(slices.Repeat([]bool{true}, r.Slots), make([]bool, max(0, 2-r.Slots))...)
}

type tokensData struct {
	Tokens              []control.QuotaRow
	All, Near, CoolDown int
}

// readTokens shows the tokens first that need a look: those near their quota, then those that
// cool down, each by the share used. It reads only what it shows; the ranking says where each
// token stands.
func (c *Console) readTokens(ctx context.Context, q url.Values) (l listing, err error) {
	// The ranking takes a read of every token, so a hundred thousand of them are ranked seldom (see package hub), and not
	// each time that somebody looks at a page of them.
	ranking := hub.Topic{Key: "ranking", Read: func(ctx context.Context) (any, error) {
		rows, err := c.o.Control.Quota(ctx)
		_, err = control.SplitUnread(err)
		return rank(rows), err
	}}
	k, err := hub.Get[ranked](ctx, c.hub, ranking, true)
	if err != nil {
		return l, err
	}
	page, err := control.PageOf(k.ids, q.Get("cursor"), perPage)
	if err != nil {
		return l, err
	}
	d := k.tokensData
	d.Tokens, err = c.o.Control.QuotaOf(ctx, page.Items)
	_, err = control.SplitUnread(err) // the head of the page says what is unread
	return listing{Data: d, Next: page.Next}, err
}

// ranked are all tokens in the order of the page.
type ranked struct {
	tokensData // without Tokens
	ids        []string
}

// rank sorts the rows.
func rank(rows []control.QuotaRow) ranked {
	class := func(r control.QuotaRow) int {
		switch {
		case quotaMeter(r).Level != "ok":
			return 0
		case !r.CoolingUntil.IsZero():
			return 1
		}
		return 2
	}
	slices.SortFunc(rows, func(a, b control.QuotaRow) int {
		return cmp.Or(cmp.Compare(class(a), class(b)), cmp.Compare(b.Used*max(1, a.Quota), a.Used*max(1, b.Quota)),
			cmp.Compare(a.TokenID, b.TokenID))
	})
	k := ranked{tokensData: tokensData{All: len(rows)}}
	for _, r := range rows {
		k.ids = append(k.ids, r.TokenID)
		if quotaMeter(r).Level != "ok" {
			k.Near++
		}
		if !r.CoolingUntil.IsZero() {
			k.CoolDown++
		}
	}
	return k
}
