package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// perPage is how many rows a page of a list has.
const perPage = 50

// view is a page that shows what a topic reads, and is kept up to date.
type view struct {
	name, path string // no path: it has no place in the navigation
	// topic is what the page reads, by its query; nil: the overview alone, which each page's head has.
	topic func(url.Values) (topic, error)
	serve http.HandlerFunc
}

// listing is what the topic of a list reads.
type listing struct {
	Data   any
	Unread int    // parts of the ledger, or schedules, that could not be read
	Next   string // cursor of the next page; "" none
}

func (c *Console) makeViews() []view {
	always := func(t topic) func(url.Values) (topic, error) {
		return func(url.Values) (topic, error) { return t, nil }
	}
	views := []view{
		{name: "batches", path: "/", topic: func(q url.Values) (topic, error) { return c.batchesTopic(q.Get("cursor")), nil }},
		{name: "chains", path: "/chains", topic: c.chainsTopic},
		{name: "tokens", path: "/tokens", topic: c.tokensTopic},
		{name: "servers", path: "/servers", topic: always(c.serversTopic())},
		{name: "workers", path: "/workers", topic: always(c.workersTopic())},
		{name: "schedules", path: "/schedules", topic: always(c.schedulesTopic())},
		{name: "actions", path: "/actions", serve: c.actionsPage}, // it is not watched: its page tells how many chains are held
		{name: "batch", topic: func(q url.Values) (topic, error) { return c.batchTopic(q.Get("name")), nil }},
	}
	for i, v := range views {
		if v.serve == nil {
			views[i].serve = c.listPage(v)
		}
	}
	return views
}

func (c *Console) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, v := range c.views {
		if v.path == "/" {
			v.path = "/{$}"
		}
		if v.path != "" {
			mux.HandleFunc("GET "+v.path, v.serve)
		}
	}
	mux.HandleFunc("GET /batches/{name}", c.batchPage)
	mux.HandleFunc("GET /decide", c.decidePage)
	mux.HandleFunc("POST /decide", c.decideNow)
	mux.HandleFunc("GET /events", c.events)
	mux.HandleFunc("GET /assets/{version}/{name}", c.serveAsset)
	mux.HandleFunc("/", c.notFound)
	return mux
}

// listPage serves a view that is a list.
func (c *Console) listPage(v view) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		read := any(nil)
		t, err := v.topic(q)
		if err == nil {
			read, err = c.read(r.Context(), t)
		}
		if err != nil {
			c.failRead(w, r, err)
			return
		}
		l := read.(listing)
		p := c.newPage(r, v.name)
		p.Live, p.Reload, p.Data, p.Unread = eventsURL(v.name, q), reloadAfter, l.Data, l.Unread
		p.Pager = newPager(v.path, q, l.Next)
		c.show(w, r, http.StatusOK, p)
	}
}

// topics are what a page shows, by the query of its address of events. The overview is
// part of each page's head.
func (c *Console) topics(q url.Values) ([]topic, error) {
	all := []topic{c.overviewTopic()}
	i := slices.IndexFunc(c.views, func(v view) bool { return v.name == q.Get("topic") })
	if i < 0 {
		return nil, errQuery
	}
	if c.views[i].topic == nil {
		return all, nil
	}
	t, err := c.views[i].topic(q)
	return append(all, t), err
}

var errQuery = fmt.Errorf("console: not an address of this site")

// maxSkip keeps who makes up addresses from having millions of rows read for nothing.
const maxSkip = 100_000

// skipOf is the cursor of a list that is paged by rows: how many of them were passed.
func skipOf(q url.Values) (int, error) {
	if q.Get("cursor") == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(q.Get("cursor"))
	if err != nil || n < 0 || n > maxSkip {
		return 0, errQuery
	}
	return n, nil
}

// skipTo is the cursor of the page after these rows, if there are more.
func skipTo(rows int, more bool) string {
	if !more {
		return ""
	}
	return strconv.Itoa(rows)
}

// filters are what a query says of a list, beside the place in it.
var filters = []string{"show", "state", "q", "batch", "cause"}

// addressOf is a path with those values of a query that names name.
func addressOf(path string, q url.Values, names ...string) string {
	to := url.Values{}
	for _, name := range names {
		if q.Get(name) != "" {
			to.Set(name, q.Get(name))
		}
	}
	switch {
	case len(to) == 0:
		return path
	case strings.Contains(path, "?"):
		return path + "&" + to.Encode()
	}
	return path + "?" + to.Encode()
}

// eventsURL is where the changes of a view are told.
func eventsURL(name string, q url.Values) string {
	return addressOf("/events?topic="+name, q, append(filters, "name", "cursor")...)
}

// pager are the addresses of other pages of a list; "" for none.
type pager struct{ First, Next string }

// newPager makes the pager of a page: there is a way on, and one to the beginning.
func newPager(path string, q url.Values, next string) (p pager) {
	names := append([]string{"cursor"}, filters...)
	if q.Get("cursor") != "" {
		p.First = addressOf(path, q, filters...)
	}
	if next != "" {
		q.Set("cursor", next)
		p.Next = addressOf(path, q, names...)
	}
	return p
}
