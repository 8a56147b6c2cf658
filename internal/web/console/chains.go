package console

import (
	"context"
	"net/url"
	"slices"

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
	cursor string
	skip   int // the cursor of a list of one why
}

func lookedAtOf(q url.Values) (lookedAt, error) {
	a := lookedAt{All: q.Get("show") == "all", Batch: q.Get("batch"), Cause: q.Get("cause"), cursor: q.Get("cursor")}
	var err error
	if !a.All {
		a.skip, err = skipOf(q)
	}
	if err != nil || q.Get("show") != "" && !a.All || a.All && (a.Batch != "" || a.Cause != "") ||
		a.Cause != "" && !slices.Contains(control.Causes(), a.Cause) {
		return a, errQuery
	}
	return a, nil
}

func (a lookedAt) with(cause string) lookedAt { return lookedAt{Batch: a.Batch, Cause: cause} }

// path is the address of its first page.
func (a lookedAt) path() string {
	q := url.Values{"batch": {a.Batch}, "cause": {a.Cause}}
	if a.All {
		q.Set("show", "all")
	}
	return addressOf("/chains", q, filters...)
}

type chainsData struct {
	Of     lookedAt
	Groups []groupView // of held ones, where no cause is looked at
	Held   int         // how many there are of what is looked at
	Cut    bool        // the groups are of the oldest alone
	Chains []chainView
}

// Filtered reports whether less is shown than all that is held.
func (d chainsData) Filtered() bool { return d.Of.Batch != "" || d.Of.Cause != "" }

// GroupsPath is the address of the groups of which a list is one.
func (d chainsData) GroupsPath() string { return d.Of.with("").path() }

// BatchPath is the address of the page of the batch that is looked at.
func (d chainsData) BatchPath() string { return batchPath(d.Of.Batch) }

func (c *Console) readChains(ctx context.Context, q url.Values) (l listing, err error) {
	a, err := lookedAtOf(q)
	if err != nil {
		return l, err
	}
	d := chainsData{Of: a}
	var chains []control.Chain
	switch {
	case a.All:
		var found control.Page[control.Chain]
		found, err = c.o.Operator.ChainsPage(ctx, false, a.cursor, perPage)
		chains, l.Next, l.Unread = found.Items, found.Next, found.Unread
	case a.Cause != "":
		var more bool
		chains, d.Held, more, err = c.o.Operator.HeldPage(ctx, a.Batch, a.Cause, a.skip, heldPerPage)
		l.Next = skipTo(a.skip+heldPerPage, more)
		l.Unread, err = control.SplitUnread(err)
	default:
		var sum control.HeldSummary
		sum, err = c.o.Operator.HeldGroups(ctx, a.Batch)
		d.Held, d.Cut, l.Unread = sum.Chains, sum.Cut, sum.Unread
		for _, g := range sum.Groups {
			v := groupView{HeldGroup: g, of: a}
			if v.Examples, err = c.chainViews(ctx, g.Examples); err != nil {
				return l, err
			}
			d.Groups = append(d.Groups, v)
		}
	}
	if err == nil {
		d.Chains, err = c.chainViews(ctx, chains)
	}
	l.Data = d
	return l, err
}

func (c *Console) chainViews(ctx context.Context, chains []control.Chain) ([]chainView, error) {
	var out []chainView
	for _, ch := range chains {
		name, err := c.o.Operator.BatchName(ctx, ch.Head)
		if _, err := control.SplitUnread(err); err != nil { // a batch that can't be read has no name here
			return nil, err
		}
		out = append(out, chainView{ch, name})
	}
	return out, nil
}
