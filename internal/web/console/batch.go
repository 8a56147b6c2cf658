package console

import (
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
	Pager    pager
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
	live, unread := q.Get("live") != "", 0
	if d.Shown = !live || !f.Any() && cursor == "" || d.Batch.Total <= smallBatch; d.Shown {
		v, err := c.read(r.Context(), c.callsTopic(name, f, cursor))
		if err != nil {
			c.failRead(w, r, err)
			return
		}
		found := v.(callsPage)
		d.Calls, unread = found.Calls, found.Unread
		d.Pager = cursorPager(d.Here, q, found.Next)
	}
	d.Download = d.Here + "/calls.csv"
	if f.Any() {
		d.Download += "?" + f.query().Encode()
	}
	p := c.newPage(r, "batch")
	p.Unread = max(d.Batch.Unread, unread)
	p.Title, p.Data = name, d
	p.Live, p.Reload = eventsURL("batch", "name", name), reloadAfter
	if d.Batch.Settled && d.Batch.HeldChains == 0 {
		p.Reload = 0
	}
	c.show(w, r, http.StatusOK, p)
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
	var out *control.CSV // once its header was sent; what fails there fails below too
	begin := func() {
		h := w.Header()
		h.Set("Content-Type", "text/csv; charset=utf-8")
		h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(fileName(name))+".csv")
		out, _ = control.NewCSV(guard.Answer(w, r, csvIdle), false)
	}
	wanted := control.CallsQuery{State: f.State, Ref: f.Ref}
	for call, err := range c.o.Operator.Report(r.Context(), name) {
		if err != nil {
			if out == nil {
				c.failRead(w, r, err)
				return
			}
			// The status was sent: a cut connection is how the other side learns of it.
			c.o.Log.Warn().Err(err).Msg("a download was cut off")
			panic(http.ErrAbortHandler)
		}
		if out == nil {
			begin()
		}
		if wanted.Wants(call) && out.Write(call) != nil {
			return // who asked has gone
		}
	}
	if out == nil {
		begin()
	}
	_ = out.Flush() // who asked may have gone
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
