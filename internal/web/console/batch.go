package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"habilita/internal/control"
	"habilita/internal/web/guard"
)

// batchData is what the page of a batch shows.
type batchData struct {
	Batch    batchView
	States   []string
	Filter   callFilter
	Calls    []control.CallRecord
	Shown    bool // the calls were read
	Download string
	Here     string
}

// callFilter is what calls are looked for.
type callFilter struct {
	State string // one of control.States; "" all
	Ref   string // part of the ref, in any case; "" all
}

// Any reports whether anything is looked for.
func (f callFilter) Any() bool { return f.State != "" || f.Ref != "" }

func (f callFilter) query() url.Values {
	q := url.Values{}
	if f.State != "" {
		q.Set("state", f.State)
	}
	if f.Ref != "" {
		q.Set("q", f.Ref)
	}
	return q
}

// maxRef is the longest text that is looked for, in bytes.
const maxRef = 200

func filterOf(q url.Values) (callFilter, error) {
	f := callFilter{State: q.Get("state"), Ref: strings.TrimSpace(q.Get("q"))}
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
	d := batchData{Batch: v.(batchView), States: control.States(), Filter: f, Here: batchPath(name)}
	page := c.newPage(r, "batch")
	live, unread := q.Get("live") != "", 0
	if d.Shown = !live || !f.Any() && cursor == "" || d.Batch.Total <= smallBatch; d.Shown {
		v, err := c.read(r.Context(), c.callsTopic(name, f, cursor))
		if err != nil {
			c.failRead(w, r, err)
			return
		}
		found := v.(callsPage)
		d.Calls, unread = found.Calls, found.Unread
		page.Pager = view{path: d.Here}.pager(r.URL.Query(), listing{Next: found.Next})
	}
	d.Download = d.Here + "/calls.csv"
	if f.Any() {
		d.Download += "?" + f.query().Encode()
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
	if err := c.o.Operator.ReportCSV(r.Context(), guard.Answer(w, r, csvIdle), name, control.CallsQuery{State: f.State, Ref: f.Ref}); err != nil {
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

func (f callFilter) key(name, cursor string) string {
	return "calls:" + strconv.Quote(cursor) + ":" + f.State + ":" + strconv.Quote(f.Ref) + ":" + name
}

// callsPage is a page of the calls of a batch.
type callsPage struct {
	Calls  []control.CallRecord
	Next   string // cursor; "" is the last one
	Unread int    // parts of the ledger that could not be read
}

// maxLooks is how often a page looks on where few calls are what is looked for; each
// look is at some ten thousand calls.
const maxLooks = 4

// callsTopic reads as many calls as it takes to fill a page, or as many as may be
// looked at for one.
func (c *Console) callsTopic(name string, f callFilter, cursor string) topic {
	return topic{f.key(name, cursor), func(ctx context.Context) (any, error) {
		p := callsPage{Next: cursor}
		for range maxLooks {
			found, err := c.o.Operator.CallsPage(ctx, name, control.CallsQuery{
				Cursor: p.Next, Limit: perPage - len(p.Calls), State: f.State, Ref: f.Ref,
			})
			if err != nil {
				return nil, err
			}
			p.Unread += found.Unread
			p.Calls, p.Next = append(p.Calls, found.Items...), found.Next
			if p.Next == "" || len(p.Calls) >= perPage {
				break
			}
		}
		return p, nil
	}}
}
