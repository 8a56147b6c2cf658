package console

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"

	"habilita/internal/control"
)

// nearPercent is from which share of its quota a token is near its end, in percent.
const nearPercent = 80

// tokenView is a token as the page shows it.
type tokenView struct{ control.QuotaRow }

// Percent is the share of the day's quota that is used, rounded down.
func (v tokenView) Percent() int {
	if v.Quota <= 0 {
		return 0
	}
	return min(100, v.Used*100/v.Quota)
}

// Width is the share in thousandths, for the bar; what is not empty can be seen.
func (v tokenView) Width() int {
	if v.Quota <= 0 || v.Used <= 0 {
		return 0
	}
	return max(6, min(1000, v.Used*1000/v.Quota))
}

// Level is ok, near or used.
func (v tokenView) Level() string {
	switch {
	case v.Quota > 0 && v.Used >= v.Quota:
		return "used"
	case v.Percent() >= nearPercent:
		return "near"
	}
	return "ok"
}

// Cooling reports whether it is left alone for a time.
func (v tokenView) Cooling() bool { return !v.CoolingUntil.IsZero() }

// slotMarks are the two slots of a token, true for those that are held.
func slotMarks(v tokenView) []bool {
	marks := make([]bool, max(2, v.Slots))
	for i := range v.Slots {
		marks[i] = true
	}
	return marks
}

type tokensData struct {
	Tokens              []tokenView
	All, Near, CoolDown int
}

// tokensTopic has those first that need a look: cooling, then by the share used. It reads
// what it shows; where each token stands is read by the ranking.
func (c *Console) tokensTopic(q url.Values) (topic, error) {
	skip, err := skipOf(q)
	return topic{"tokens:" + strconv.Itoa(skip), func(ctx context.Context) (any, error) {
		ranking, err := c.hub.get(ctx, c.rankingTopic(), true)
		if err != nil {
			return nil, err
		}
		k := ranking.value.(ranked)
		d := tokensData{All: len(k.ids), Near: k.near, CoolDown: k.cooling}
		ids := k.ids[min(skip, len(k.ids)):]
		rows, err := c.o.Operator.QuotaOf(ctx, ids[:min(perPage, len(ids))])
		if err != nil && control.Unread(err) == 0 {
			return nil, err
		}
		for _, r := range rows {
			d.Tokens = append(d.Tokens, tokenView{r})
		}
		return listing{Data: d, Next: skipTo(skip+perPage, len(ids) > perPage)}, nil
	}}, err
}

// ranked are all tokens in the order of the page.
type ranked struct {
	ids           []string
	near, cooling int
}

// rankingTopic reads where each token stands. That takes a read of every token, so a hundred thousand of
// them are ranked seldom (see hub.get), and not each time that somebody looks at a page of them.
func (c *Console) rankingTopic() topic {
	return topic{"ranking", func(ctx context.Context) (any, error) {
		rows, err := c.o.Operator.Quota(ctx)
		if err != nil && control.Unread(err) == 0 { // the head of the page says what is unread
			return nil, err
		}
		return rank(rows), nil
	}}
}

func rank(rows []control.QuotaRow) ranked {
	all := make([]tokenView, len(rows))
	k := ranked{ids: make([]string, len(rows))}
	for i, r := range rows {
		all[i] = tokenView{r}
		if all[i].Level() != "ok" {
			k.near++
		}
		if all[i].Cooling() {
			k.cooling++
		}
	}
	class := func(v tokenView) int {
		switch {
		case v.Level() != "ok":
			return 0
		case v.Cooling():
			return 1
		}
		return 2
	}
	slices.SortFunc(all, func(a, b tokenView) int {
		return cmp.Or(cmp.Compare(class(a), class(b)), cmp.Compare(b.Used*max(1, a.Quota), a.Used*max(1, b.Quota)),
			cmp.Compare(a.TokenID, b.TokenID))
	})
	for i, v := range all {
		k.ids[i] = v.TokenID
	}
	return k
}
