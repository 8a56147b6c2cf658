package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"habilita/internal/batch"
	"habilita/internal/operator"
)

// chainView is a chain, and the batch that its head belongs to ("" none).
type chainView struct {
	operator.Chain
	Batch string
}

// BatchPath is the address of the batch's page.
func (v chainView) BatchPath() string { return batchPath(v.Batch) }

type chainsData struct {
	Chains   []chainView
	Next     string
	HeldOnly bool
	Overview overview
	Pager    pager
}

func (c *Console) chainsTopic(heldOnly bool, cursor string) topic {
	key := "chains:" + strconv.FormatBool(heldOnly) + ":" + cursor
	return topic{key, func(ctx context.Context) (any, error) {
		found, err := c.o.Operator.ChainsPage(ctx, heldOnly, cursor, perPage)
		if err != nil {
			return nil, err
		}
		d := chainsData{HeldOnly: heldOnly, Next: found.Next}
		for _, ch := range found.Items {
			name, err := c.o.Operator.BatchName(ctx, ch.Head)
			if err != nil && !errors.Is(err, batch.ErrNoBatch) { // it has gone meanwhile
				return nil, err
			}
			d.Chains = append(d.Chains, chainView{ch, name})
		}
		return d, nil
	}}
}

func (c *Console) chainsPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	show, cursor := q.Get("show"), q.Get("cursor")
	if show != "" && show != "all" {
		c.notFound(w, r)
		return
	}
	v, over, ok := c.readWithOverview(w, r, c.chainsTopic(show == "", cursor))
	if !ok {
		return
	}
	d := v.(chainsData)
	d.Overview = over
	d.Pager = cursorPager("/chains", q, d.Next)
	p := c.newPage(r, "chains")
	p.Live, p.Reload, p.Data = eventsURL("chains", "show", show, "cursor", cursor), reloadAfter, d
	c.show(w, r, http.StatusOK, p)
}
