package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"

	"habilita/internal/operator"
)

// nearPercent is from which share of its quota a token is near its end, in percent.
const nearPercent = 80

// tokenView is a token as the page shows it.
type tokenView struct{ operator.QuotaRow }

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
	More                bool
	Pager               pager
}

// tokensTopic has those first that need a look: cooling, then by the share used.
func (c *Console) tokensTopic(skip int) topic {
	return topic{"tokens:" + strconv.Itoa(skip), func(ctx context.Context) (any, error) {
		rows, err := c.o.Operator.Quota(ctx)
		if err != nil {
			return nil, err
		}
		d := tokensData{All: len(rows)}
		all := make([]tokenView, len(rows))
		for i, r := range rows {
			all[i] = tokenView{r}
			if all[i].Level() != "ok" {
				d.Near++
			}
			if all[i].Cooling() {
				d.CoolDown++
			}
		}
		rank := func(v tokenView) int {
			switch {
			case v.Level() != "ok":
				return 0
			case v.Cooling():
				return 1
			}
			return 2
		}
		slices.SortFunc(all, func(a, b tokenView) int {
			return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Used*max(1, a.Quota), a.Used*max(1, b.Quota)),
				cmp.Compare(a.TokenID, b.TokenID))
		})
		all = all[min(skip, len(all)):]
		d.More = len(all) > perPage
		d.Tokens = all[:min(perPage, len(all))]
		return d, nil
	}}
}

func (c *Console) tokensPage(w http.ResponseWriter, r *http.Request) {
	skip, err := skipOf(r.URL.Query())
	if err != nil {
		c.notFound(w, r)
		return
	}
	v, err := c.read(r.Context(), c.tokensTopic(skip))
	if err != nil {
		c.failRead(w, r, err)
		return
	}
	d := v.(tokensData)
	d.Pager = skipPager("/tokens", skip, perPage, d.More)
	p := c.newPage(r, "tokens")
	p.Live, p.Reload, p.Data = eventsURL("tokens", "skip", strconv.Itoa(skip)), reloadAfter, d
	c.show(w, r, http.StatusOK, p)
}
