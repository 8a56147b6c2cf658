package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"habilita/internal/control"
	"habilita/internal/rows"
	"habilita/internal/web/hub"
)

// batchData is what the page of a batch shows.
type batchData struct {
	Batch    batchView
	States   []string
	Filter   control.CallsQuery
	Filtered bool // Filter leaves some out
	Calls    []control.CallRecord
	Shown    bool   // the calls were read
	Download string // of the API
	Here     string
}

// filterOf reads which calls people search for.
func filterOf(q url.Values) (control.CallsQuery, error) {
	f := control.CallsQuery{State: q.Get("state"), Ref: strings.TrimSpace(q.Get("q"))}
	if f.State != "" && !slices.Contains(control.States(), f.State) || utf8.RuneCountInString(f.Ref) > rows.MaxRef {
		return f, errQuery
	}
	return f, nil
}

// smallBatch is the most calls that a page reads again whenever the batch changes,
// though it shows only some of them.
const smallBatch = 5000

func (c *Console) batchPage(w http.ResponseWriter, r *http.Request) {
	name, q := r.PathValue("name"), r.URL.Query()
	cursor := q.Get("cursor")
	f, err := filterOf(q)
	if err != nil {
		c.notFound(w, r)
		return
	}
	v := view{"batch", "", c.readBatch}
	only := url.Values{"name": {name}}
	l, err := read[listing](r.Context(), c, v.topic(only))
	if err != nil {
		c.failRead(w, r, err)
		return
	}
	batch, _ := l.Data.(batchView)
	d := batchData{Batch: batch, States: control.States(), Filter: f, Filtered: f != control.CallsQuery{}, Here: batchPath(name)}
	d.Download = address("/v1"+d.Here+"/calls.csv", "state", f.State, "ref", f.Ref)
	page := c.newPage(r, "batch")
	live, unread := q.Get("live") != "", 0
	if d.Shown = !live || !d.Filtered && cursor == "" || d.Batch.Total <= smallBatch; d.Shown {
		found, err := read[control.Page[control.CallRecord]](r.Context(), c, c.callsTopic(name, f, cursor))
		if err != nil {
			c.failRead(w, r, err)
			return
		}
		d.Calls, unread = found.Items, found.Unread
		page.Pager = newPager(d.Here, q, found.Next)
	}
	page.Unread = max(l.Unread, unread)
	page.Title, page.Data = name, d
	page.Live, page.Reload = eventsURL("batch", only), reloadAfter
	if d.Batch.Settled && d.Batch.HeldChains == 0 {
		page.Reload = 0
	}
	c.show(w, r, http.StatusOK, page)
}

// callsTopic reads a page of calls. If few calls match, it may have less than a page.
func (c *Console) callsTopic(name string, f control.CallsQuery, cursor string) hub.Topic {
	f.Cursor, f.Limit = cursor, perPage
	return hub.Topic{Key: fmt.Sprintf("calls:%q", []string{name, f.State, f.Ref, cursor}), Read: func(ctx context.Context) (any, error) {
		return c.o.Control.CallsPage(ctx, name, f)
	}}
}
