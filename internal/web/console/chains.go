package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"habilita/internal/control"
)

// heldPerPage is less than perPage: each is a card with what there is to do.
const heldPerPage = 25

// chainView is a chain, and the batch that its head belongs to ("" none).
type chainView struct {
	control.Chain
	Batch string
}

// BatchPath is the address of the batch's page.
func (v chainView) BatchPath() string { return batchPath(v.Batch) }

// Cause is why its head failed, as one word; "" where it did not.
func (v chainView) Cause() string { return control.Cause(v.Head) }

// Futile reports whether a skip is no help.
func (v chainView) Futile() bool { return control.RemedyOf(v.Cause()).Futile() }

// groupView are held chains whose heads failed for the same.
type groupView struct {
	control.HeldGroup
	Examples []chainView
	of       lookedAt
}

// Futile is chainView's.
func (g groupView) Futile() bool { return control.RemedyOf(g.Cause).Futile() }

// Path is the address of all chains of the group.
func (g groupView) Path() string { return g.of.with(g.Cause).path() }

// Decide is the address that asks about a decision on all of the group.
func (g groupView) Decide(do string) string {
	q := url.Values{"do": {do}, "cause": {g.Cause}}
	if g.of.Batch != "" {
		q.Set("batch", g.of.Batch)
	}
	return "/decide?" + q.Encode()
}

// lookedAt says which chains a page is about: held ones by why, those of one why, or all
// that have work.
type lookedAt struct {
	All    bool
	Batch  string // of the held ones: those of one batch; "" of all
	Cause  string // of the held ones: one of control.Causes, for a list of them; "" groups
	skip   int
	cursor string
}

func lookedAtOf(q url.Values) (lookedAt, error) {
	a := lookedAt{All: q.Get("show") == "all", Batch: q.Get("batch"), Cause: q.Get("cause"), cursor: q.Get("cursor")}
	var err error
	a.skip, err = skipOf(q)
	switch {
	case err != nil, q.Get("show") != "" && !a.All, a.All && (a.Batch != "" || a.Cause != ""), !a.All && a.cursor != "",
		a.Cause != "" && !slices.Contains(control.Causes(), a.Cause):
		return a, errQuery
	}
	return a, nil
}

func (a lookedAt) with(cause string) lookedAt { return lookedAt{Batch: a.Batch, Cause: cause} }

func (a lookedAt) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"batch": a.Batch, "cause": a.Cause} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if a.All {
		q.Set("show", "all")
	}
	return q
}

// path is the address of its first page.
func (a lookedAt) path() string {
	if q := a.query(); len(q) > 0 {
		return "/chains?" + q.Encode()
	}
	return "/chains"
}

type chainsData struct {
	Of       lookedAt
	Groups   []groupView // of held ones, where no cause is looked at
	Held     int         // how many there are of what is looked at
	Cut      bool        // the groups are of the oldest alone
	Unread   int         // parts of the ledger that could not be read
	Chains   []chainView
	Next     string
	More     bool
	Overview overview
	Pager    pager
}

// Filtered reports whether less is shown than all that is held.
func (d chainsData) Filtered() bool { return d.Of.Batch != "" || d.Of.Cause != "" }

// GroupsPath is the address of the groups of which a list is one.
func (d chainsData) GroupsPath() string { return d.Of.with("").path() }

// BatchPath is the address of the page of the batch that is looked at.
func (d chainsData) BatchPath() string { return batchPath(d.Of.Batch) }

func (c *Console) chainsTopic(a lookedAt) topic {
	key := "chains:" + a.query().Encode() + ":" + strconv.Itoa(a.skip) + ":" + a.cursor
	return topic{key, func(ctx context.Context) (any, error) {
		d := chainsData{Of: a}
		var chains []control.Chain
		var err error
		switch {
		case a.All:
			var found control.Page[control.Chain]
			found, err = c.o.Operator.ChainsPage(ctx, false, a.cursor, perPage)
			chains, d.Next, d.Unread = found.Items, found.Next, found.Unread
		case a.Cause != "":
			chains, d.Held, d.More, err = c.o.Operator.HeldPage(ctx, a.Batch, a.Cause, a.skip, heldPerPage)
			if d.Unread = control.Unread(err); d.Unread > 0 {
				err = nil
			}
		default:
			return c.heldGroups(ctx, d)
		}
		if err == nil {
			d.Chains, err = c.chainViews(ctx, chains)
		}
		return d, err
	}}
}

func (c *Console) heldGroups(ctx context.Context, d chainsData) (any, error) {
	sum, err := c.o.Operator.HeldGroups(ctx, d.Of.Batch)
	if err != nil {
		return nil, err
	}
	d.Held, d.Cut, d.Unread = sum.Chains, sum.Cut, sum.Unread
	for _, g := range sum.Groups {
		v := groupView{HeldGroup: g, of: d.Of}
		if v.Examples, err = c.chainViews(ctx, g.Examples); err != nil {
			return nil, err
		}
		d.Groups = append(d.Groups, v)
	}
	return d, nil
}

func (c *Console) chainViews(ctx context.Context, chains []control.Chain) ([]chainView, error) {
	var out []chainView
	for _, ch := range chains {
		name, err := c.o.Operator.BatchName(ctx, ch.Head)
		if err != nil && control.Unread(err) == 0 { // its node of a cluster may be away
			return nil, err
		}
		out = append(out, chainView{ch, name})
	}
	return out, nil
}

func (c *Console) chainsPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	a, err := lookedAtOf(q)
	if err != nil {
		c.notFound(w, r)
		return
	}
	v, over, ok := c.readWithOverview(w, r, c.chainsTopic(a))
	if !ok {
		return
	}
	d := v.(chainsData)
	d.Overview = over
	if a.All {
		d.Pager = cursorPager("/chains", q, d.Next)
	} else {
		d.Pager = skipPager(a.path(), a.skip, heldPerPage, d.More)
	}
	p := c.newPage(r, "chains")
	p.Unread = d.Unread
	p.Live, p.Reload, p.Data = eventsURL("chains", "show", q.Get("show"), "cursor", a.cursor, "batch", a.Batch, "cause", a.Cause,
		"skip", strconv.Itoa(a.skip)), reloadAfter, d
	c.show(w, r, http.StatusOK, p)
}
