package console

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/text/number"

	"habilita/internal/operator"
)

// overview is what the head of each page tells.
type overview struct {
	operator.Overview
	Workers int
}

func (c *Console) overviewTopic() topic {
	return topic{"overview", func(ctx context.Context) (any, error) {
		o, err := c.o.Operator.Overview(ctx)
		if err != nil {
			return nil, err
		}
		all, err := c.o.Processes.Alive(ctx)
		if err != nil {
			return nil, err
		}
		return overview{Overview: o, Workers: countWorkers(all)}, nil
	}}
}

// readWithOverview reads a topic and the overview. Where it can't it has answered, and is not ok.
func (c *Console) readWithOverview(w http.ResponseWriter, r *http.Request, t topic) (v any, over overview, ok bool) {
	v, err := c.read(r.Context(), t)
	var o any
	if err == nil {
		o, err = c.read(r.Context(), c.overviewTopic())
	}
	if err != nil {
		c.failRead(w, r, err)
		return nil, overview{}, false
	}
	return v, o.(overview), true
}

// batchView is a batch as pages show it.
type batchView struct {
	operator.Status
	PerSecond float64
	Rated     bool // PerSecond is known
}

// view rates a batch.
func (c *Console) view(s operator.Status) batchView {
	v := batchView{Status: s}
	if s.Settled {
		if took := s.SettledAt.Sub(s.CreatedAt.Time); took > 0 && s.Ended() > 0 {
			v.PerSecond, v.Rated = float64(s.Ended())/took.Seconds(), true
		}
		return v
	}
	v.PerSecond, v.Rated = c.rates.note(s.Batch, s.Ended(), c.o.Now())
	return v
}

// Path is the address of the batch's page.
func (v batchView) Path() string { return batchPath(v.Batch) }

func batchPath(name string) string { return "/batches/" + url.PathEscape(name) }

// Percent is the share that has a result, rounded down.
func (v batchView) Percent() int {
	if v.Total == 0 {
		return 100
	}
	return v.Ended() * 100 / v.Total
}

// Tenth is Percent in steps that are worth being read out.
func (v batchView) Tenth() int { return v.Percent() / 10 * 10 }

// State is one word for all: held, done or going.
func (v batchView) State() string {
	switch {
	case v.HeldChains > 0:
		return "held"
	case v.Settled && v.Failed > 0:
		return "failures"
	case v.Settled:
		return "done"
	}
	return "going"
}

// segment is a part of a progress bar, in thousandths of its width.
type segment struct {
	Class     string
	X, Width  int
	Count     int
	Remaining bool
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
		all = append(all, segment{Class: p.class, X: x, Width: width, Count: p.n})
		x += width
	}
	return all
}

// rate is how fast a batch goes, in words; "" where it is not known.
func (w *words) rate(v batchView) string {
	if !v.Rated || v.Total == 0 {
		return ""
	}
	if v.PerSecond == 0 {
		s, _ := w.say("rate.none")
		return s
	}
	key, n := "rate.second", v.PerSecond
	if n < 1 {
		key, n = "rate.minute", n*60
	}
	digits := 0
	if n < 10 {
		digits = 1
	}
	s, _ := w.say(key, w.printer.Sprint(number.Decimal(n, number.MaxFractionDigits(digits))))
	return s
}

// left is how long a batch takes still, in words; "" where it is not known.
func (w *words) left(v batchView) string {
	if v.Settled || !v.Rated || v.PerSecond <= 0 {
		return ""
	}
	seconds := float64(v.Open) / v.PerSecond
	if seconds > 30*24*3600 {
		return ""
	}
	s, _ := w.say("left", w.long(time.Duration(seconds*float64(time.Second))))
	return s
}

// batchesPerPage is less than perPage: each batch may be in a thousand buckets.
const batchesPerPage = 20

type batchesData struct {
	Batches  []batchView
	Next     string
	Overview overview
	Pager    pager
}

func (c *Console) batchesTopic(cursor string) topic {
	return topic{"batches:" + cursor, func(ctx context.Context) (any, error) {
		found, err := c.o.Operator.BatchesPage(ctx, cursor, batchesPerPage)
		if err != nil {
			return nil, err
		}
		d := batchesData{Next: found.Next}
		for _, s := range found.Items {
			d.Batches = append(d.Batches, c.view(s))
		}
		return d, nil
	}}
}

func (c *Console) batchesPage(w http.ResponseWriter, r *http.Request) {
	cursor := r.URL.Query().Get("cursor")
	v, over, ok := c.readWithOverview(w, r, c.batchesTopic(cursor))
	if !ok {
		return
	}
	d := v.(batchesData)
	d.Overview = over
	d.Pager = cursorPager("/", r.URL.Query(), d.Next)
	p := c.newPage(r, "batches")
	p.Live, p.Reload, p.Data = eventsURL("batches", "cursor", cursor), reloadAfter, d
	c.show(w, r, http.StatusOK, p)
}

func (c *Console) batchTopic(name string) topic {
	return topic{"batch:" + name, func(ctx context.Context) (any, error) {
		s, err := c.o.Operator.Status(ctx, name)
		if err != nil {
			return nil, err
		}
		return c.view(s), nil
	}}
}
