package console

import (
	"cmp"
	"context"
	"net/url"
	"slices"

	"habilita/internal/control"
	"habilita/internal/web/hub"
)

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
