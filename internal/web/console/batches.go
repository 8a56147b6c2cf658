package console

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/number"

	"habilita/internal/control"
	"habilita/internal/membership"
	"habilita/internal/rows"
	"habilita/internal/web/hub"
)

// overview is what the head of each page shows.
type overview struct {
	control.Overview
	Workers int
}

func (c *Console) overviewTopic() hub.Topic {
	return hub.Topic{Key: "overview", Read: func(ctx context.Context) (any, error) {
		o, err := c.o.Control.Overview(ctx)
		if err != nil {
			return nil, err
		}
		alive, err := c.o.Processes.Alive(ctx)
		return overview{Overview: o, Workers: len(membership.Workers(alive))}, err
	}}
}

// batchView is a batch as pages show it.
type batchView struct {
	control.Status
	PerSecond float64
	Rated     bool   // PerSecond is known
	Shows     string // the state and the run, so that the hub notices when they change
}

// view adds the rate of a batch, if the batch goes on by itself.
func (c *Console) view(s control.Status) batchView {
	v := batchView{Status: s}
	v.Shows = fmt.Sprint(v.State(), s.Filling, s.CutOff)
	if s.Settled || s.Unread > 0 {
		return v
	}
	perSecond, known := c.rates.note(s.Batch, s.Succeeded, c.o.Now())
	switch v.State() {
	case "going", "filling", "partial", "held", "canary":
		v.PerSecond, v.Rated = perSecond, known
	}
	return v
}

// batchPath is the address of a batch's page.
func batchPath(name string) string { return "/batches/" + url.PathEscape(name) }

// Percent is the share that succeeded, rounded down.
func (v batchView) Percent() int {
	if v.Total == 0 {
		return 0
	}
	return v.Succeeded * 100 / v.Total
}

// Whole reports whether Percent means anything: it is known how many calls there will be,
// and there is at least one.
func (v batchView) Whole() bool {
	return v.Total > 0 && !v.FirstOnly() && !v.Filling && !v.CutOff && v.Unread == 0
}

// FirstOnly reports whether only the first tokens' calls are enqueued.
func (v batchView) FirstOnly() bool {
	return v.Canary.State == control.CanaryWaiting || v.Canary.State == control.CanaryHeld
}

// Spoken is Percent in steps that are worth reading out, and at the end as it is.
func (v batchView) Spoken() int {
	if v.Settled {
		return v.Percent()
	}
	return v.Percent() / 10 * 10
}

// State is the state of a batch as pages show it, in one word. Each has a text batch.STATE.
func (v batchView) State() string {
	switch {
	case v.Stopped && !v.Settled: // cancelled, with requests still at the vendor
		return "cancelling"
	case v.Stopped && v.Succeeded < v.Total, v.Stopped && v.Total == 0:
		return "cancelled"
	case v.Canary.State == control.CanaryHeld && !v.Stopped: // its first tokens did not all succeed: the others are not enqueued
		return "canaryheld"
	case v.HeldChains > 0: // a person is to decide on some of its chains
		return "held"
	case v.Unread > 0: // a part of its counts can't be read
		return "unread"
	case v.Canary.State == control.CanaryWaiting && !v.Stopped: // its first tokens are tried
		return "canary"
	case v.Filling: // a producer adds calls still
		return "filling"
	case v.CutOff: // its last run was cut off or left rows out
		return "partial"
	case v.PutOff: // nothing of it begins before its time
		return "putoff"
	case !v.Settled:
		return "going"
	case v.Total == 0:
		return "nothing"
	case v.BehindOthers() > 0: // a person is to decide on chains of another batch
		return "behind"
	case v.Failed > 0: // all have a result, and some failed
		return "failures"
	case v.Succeeded < v.Total && v.Cancelled == v.Total:
		return "cancelled"
	case v.Succeeded < v.Total: // all have a result, and some were skipped or cancelled
		return "partly"
	}
	return "done"
}

// Unmade is how many calls were skipped or cancelled.
func (v batchView) Unmade() int { return v.Skipped + v.Cancelled }

// MoreLater reports whether some calls wait for their time, and others do not.
func (v batchView) MoreLater() bool { return !v.PutOff && !v.DueAt.IsZero() }

// segment is a part of a progress bar, in thousandths of its width.
type segment struct {
	Class    string
	X, Width int
}

// Segments are the parts of the progress bar. A part that is not empty can be seen.
func (v batchView) Segments() []segment {
	var all []segment
	x := 0
	for _, p := range []struct {
		class string
		n     int
	}{{"succeeded", v.Succeeded}, {"failed", v.Failed}, {"skipped", v.Skipped}, {"cancelled", v.Cancelled}} {
		width := 0
		if v.Total > 0 {
			width = int(math.Round(float64(p.n) * 1000 / float64(v.Total)))
		}
		if p.n > 0 {
			width = max(width, 6)
		}
		width = min(width, 1000-x)
		all = append(all, segment{Class: p.class, X: x, Width: width})
		x += width
	}
	return all
}

// rate says how fast a batch goes; "" if that is not known.
func (w *words) rate(v batchView) string {
	if !v.Rated || v.Total == 0 {
		return ""
	}
	if v.PerSecond == 0 {
		if v.MoreLater() {
			return "" // it is said when it goes on
		}
		return w.sayOr("rate.none", "")
	}
	key, n := "rate.second", v.PerSecond
	if n < 1 {
		key, n = "rate.minute", n*60
	}
	digits := 0
	if n < 10 {
		digits = 1
	}
	return w.sayOr(key, "", w.printer.Sprint(number.Decimal(n, number.MaxFractionDigits(digits))))
}

// left says how long a batch still takes; "" if that is not known, or will change because more calls come.
func (w *words) left(v batchView) string {
	left, known := v.TimeLeft(v.PerSecond)
	if state := v.State(); !known || left == 0 || state != "going" && state != "held" {
		return ""
	}
	return w.sayOr("left", "", w.long(left))
}

// batchesPerPage is less than perPage: each batch may be in a thousand buckets.
const batchesPerPage = 20

func (c *Console) readBatches(ctx context.Context, q url.Values) (listing, error) {
	found, err := c.o.Control.BatchesPage(ctx, q.Get("cursor"), batchesPerPage)
	var all []batchView
	for _, s := range found.Items {
		all = append(all, c.view(s))
	}
	return listing{Data: all, Next: found.Next, Unread: found.Unread}, err
}

func (c *Console) readBatch(ctx context.Context, q url.Values) (listing, error) {
	s, err := c.o.Control.Status(ctx, q.Get("name"))
	unread, err := control.SplitUnread(err)
	if err != nil {
		return listing{}, err
	}
	return listing{Data: c.view(s), Unread: unread}, nil
}

// rateMemory is how long the rate of a batch that nobody looks at is kept.
const rateMemory = 2 * time.Minute

// rates works out how fast batches go, from what was seen of them before.
type rates struct {
	mu   sync.Mutex
	seen map[string]*rated
}

type rated struct {
	control.Rate
	perSecond float64
	known     bool
}

func newRates() *rates { return &rates{seen: map[string]*rated{}} }

// note notes how many calls of a batch succeeded, and returns how many succeed per second. That is
// known from the second look on, if it is at least half of fresh after the first, but not while the
// rate is Early. Calls that failed, were skipped or cancelled are no basis for a rate: they may all
// end at once.
func (r *rates) note(name string, done int, at time.Time) (perSecond float64, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.seen, func(_ string, s *rated) bool { return at.Sub(s.At) > rateMemory })
	s := r.seen[name]
	if s == nil {
		s = &rated{}
		r.seen[name] = s
	}
	if first := s.At.IsZero(); first || at.Sub(s.At) >= fresh/2 {
		s.perSecond, s.known = s.See(at, done), !first && !s.Early()
	}
	return s.perSecond, s.known
}

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
