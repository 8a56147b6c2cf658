package console

import (
	"context"
	"net/url"
	"slices"

	"habilita/internal/control"
)

// heldPerPage is less than perPage, since each chain is a card that says what there is to do.
const heldPerPage = 25

// chainView is a chain, and the batch that its head belongs to ("" none).
type chainView struct {
	control.Chain
	Batch string
}

// groupView are held chains whose heads failed for the same cause.
type groupView struct {
	control.HeldGroup
	Examples []chainView
}

// futile reports whether skipping does not help against a cause.
func futile(cause string) bool { return control.RemedyOf(cause).Futile() }

// lookedAt says which chains a page is about: held ones grouped by cause, those of one cause,
// or all that have work.
type lookedAt struct {
	All   bool
	Batch string // of the held ones: those of one batch; "" of all
	Cause string // of the held ones: one of control.Causes, for a list of them; "" groups
}

func lookedAtOf(q url.Values) (lookedAt, error) {
	a := lookedAt{All: q.Get("show") == "all", Batch: q.Get("batch"), Cause: q.Get("cause")}
	if q.Get("show") != "" && !a.All || a.All && (a.Batch != "" || a.Cause != "") ||
		a.Cause != "" && !slices.Contains(control.Causes(), a.Cause) {
		return a, errQuery
	}
	return a, nil
}

type chainsData struct {
	Of     lookedAt
	Groups []groupView // of held ones, where no cause is looked at
	Held   int         // how many there are of what is looked at
	Cut    bool        // the groups are of the oldest alone
	Chains []chainView
}

func (c *Console) readChains(ctx context.Context, q url.Values) (l listing, err error) {
	a, err := lookedAtOf(q)
	if err != nil {
		return l, err
	}
	d := chainsData{Of: a}
	var found control.Page[control.Chain]
	switch cursor := q.Get("cursor"); {
	case a.All:
		found, err = c.o.Control.ChainsPage(ctx, false, cursor, perPage)
	case a.Cause != "":
		found, d.Held, err = c.o.Control.HeldPage(ctx, a.Batch, a.Cause, cursor, heldPerPage)
	default:
		var sum control.HeldSummary
		sum, err = c.o.Control.HeldGroups(ctx, a.Batch)
		d.Held, d.Cut, found.Unread = sum.Chains, sum.Cut, sum.Unread
		for _, g := range sum.Groups {
			v := groupView{HeldGroup: g}
			if v.Examples, err = c.chainViews(ctx, g.Examples); err != nil {
				return l, err
			}
			d.Groups = append(d.Groups, v)
		}
	}
	if err == nil {
		d.Chains, err = c.chainViews(ctx, found.Items)
	}
	return listing{Data: d, Unread: found.Unread, Next: found.Next}, err
}

func (c *Console) chainViews(ctx context.Context, chains []control.Chain) ([]chainView, error) {
	var out []chainView
	for _, ch := range chains {
		name, err := c.o.Control.BatchName(ctx, ch.Head)
		if _, err := control.SplitUnread(err); err != nil { // a batch that can't be read has no name here
			return nil, err
		}
		out = append(out, chainView{ch, name})
	}
	return out, nil
}
