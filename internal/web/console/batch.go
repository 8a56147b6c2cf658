package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"habilita/internal/control"
	"habilita/internal/web/guard"
)

// batchData is what the page of a batch shows.
type batchData struct {
	Batch    batchView
	States   []string
	Filter   control.CallsQuery
	Filtered bool // Filter leaves some out
	Calls    []control.CallRecord
	Shown    bool // the calls were read
	Download string
	Here     string
}

// maxRef is the longest text that is looked for, in bytes.
const maxRef = 200

// filterOf reads what calls are looked for.
func filterOf(q url.Values) (control.CallsQuery, error) {
	f := control.CallsQuery{State: q.Get("state"), Ref: strings.TrimSpace(q.Get("q"))}
	if f.State != "" && !slices.Contains(control.States(), f.State) || len(f.Ref) > maxRef {
		return f, errQuery
	}
	return f, nil
}

// smallBatch is up to how many calls a page looks through again whenever the batch
// changes, though it shows only some of them.
const smallBatch = 5000

func (c *Console) batchPage(w http.ResponseWriter, r *http.Request) {
	name, q := r.PathValue("name"), r.URL.Query()
	cursor := q.Get("cursor")
	f, err := filterOf(q)
	if err != nil {
		c.notFound(w, r)
		return
	}
	v, err := c.read(r.Context(), c.batchTopic(name))
	if err != nil {
		c.failRead(w, r, err)
		return
	}
	d := batchData{Batch: v.(batchView), States: control.States(), Filter: f, Filtered: f != control.CallsQuery{}, Here: batchPath(name)}
	d.Download = addressOf(d.Here+"/calls.csv", q, "state", "q")
	page := c.newPage(r, "batch")
	live, unread := q.Get("live") != "", 0
	if d.Shown = !live || !d.Filtered && cursor == "" || d.Batch.Total <= smallBatch; d.Shown {
		v, err := c.read(r.Context(), c.callsTopic(name, f, cursor))
		if err != nil {
			c.failRead(w, r, err)
			return
		}
		found := v.(control.Page[control.CallRecord])
		d.Calls, unread = found.Items, found.Unread
		page.Pager = view{path: d.Here}.pager(r.URL.Query(), listing{Next: found.Next})
	}
	page.Unread = max(d.Batch.Unread, unread)
	page.Title, page.Data = name, d
	page.Live, page.Reload = eventsURL("batch", url.Values{"name": {name}}), reloadAfter
	if d.Batch.Settled && d.Batch.HeldChains == 0 {
		page.Reload = 0
	}
	c.show(w, r, http.StatusOK, page)
}

// csvIdle is how long the one who downloads may stand still.
const csvIdle = 30 * time.Second

// callsCSV sends all calls that are looked for, as `enqueue report` prints them.
func (c *Console) callsCSV(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	f, err := filterOf(r.URL.Query())
	if err != nil {
		c.notFound(w, r)
		return
	}
	if s, err := c.o.Operator.Status(r.Context(), name); err != nil && s.Unread == 0 {
		c.failRead(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(fileName(name))+".csv")
	if err := c.o.Operator.ReportCSV(r.Context(), guard.Answer(w, r, csvIdle), name, f); err != nil {
		// The status was sent: a cut connection is how the other side learns of it.
		c.o.Log.Warn().Err(err).Msg("a download was cut off")
		panic(http.ErrAbortHandler)
	}
}

// fileName is a batch's name without what a file's can't have.
func fileName(batch string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) || r < ' ' {
			return '_'
		}
		return r
	}, batch)
}

// maxLooks is how often a page looks on where few calls are what is looked for; each
// look is at some ten thousand calls.
const maxLooks = 4

// callsTopic reads as many calls as it takes to fill a page, or as many as may be
// looked at for one.
func (c *Console) callsTopic(name string, f control.CallsQuery, cursor string) topic {
	return topic{fmt.Sprintf("calls:%q:%s:%q:%s", cursor, f.State, f.Ref, name), func(ctx context.Context) (any, error) {
		p, q := control.Page[control.CallRecord]{Next: cursor}, f
		for range maxLooks {
			q.Cursor, q.Limit = p.Next, perPage-len(p.Items)
			found, err := c.o.Operator.CallsPage(ctx, name, q)
			if err != nil {
				return nil, err
			}
			p.Unread += found.Unread
			p.Items, p.Next = append(p.Items, found.Items...), found.Next
			if p.Next == "" || len(p.Items) >= perPage {
				break
			}
		}
		return p, nil
	}}
}
