package console

import (
	"context"
	"net/http"
	"strconv"

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
	More     bool
	HeldOnly bool
	Overview overview
	Pager    pager
}

func (c *Console) chainsTopic(heldOnly bool, skip int) topic {
	key := "chains:" + strconv.FormatBool(heldOnly) + ":" + strconv.Itoa(skip)
	return topic{key, func(ctx context.Context) (any, error) {
		d := chainsData{HeldOnly: heldOnly}
		n := 0
		for ch, err := range c.o.Operator.Chains(ctx, heldOnly) {
			if err != nil {
				return nil, err
			}
			if n++; n <= skip {
				continue
			}
			if len(d.Chains) == perPage {
				d.More = true
				break
			}
			name, err := c.o.Operator.BatchName(ctx, ch.Head)
			if err != nil {
				return nil, err
			}
			d.Chains = append(d.Chains, chainView{ch, name})
		}
		return d, nil
	}}
}

func (c *Console) chainsPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	show := q.Get("show")
	skip, err := skipOf(q)
	if err != nil || show != "" && show != "all" {
		c.notFound(w, r)
		return
	}
	v, err := c.read(r.Context(), c.chainsTopic(show == "", skip))
	if err != nil {
		c.failRead(w, r, err)
		return
	}
	over, err := c.read(r.Context(), c.overviewTopic())
	if err != nil {
		c.failRead(w, r, err)
		return
	}
	d := v.(chainsData)
	d.Overview = over.(overview)
	d.Pager = pages("/chains", q, skip, perPage, d.More)
	p := c.newPage(r, "chains")
	p.Live, p.Reload, p.Data = eventsURL("chains", "show", show, "skip", strconv.Itoa(skip)), reloadAfter, d
	c.show(w, r, http.StatusOK, p)
}
