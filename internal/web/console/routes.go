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
	rows  int // of a list that is paged by rows: how many a page has
	serve http.HandlerFunc
}

// listing is what the topic of a list reads.
type listing struct {
	Data   any
	Unread int    // parts of the ledger, or schedules, that could not be read
	Next   string // of a list that is read from cursor to cursor: that of the next page; "" none
	More   bool   // of a list that is paged by rows: there are others behind these
}

func (c *Console) makeViews() []view {
	always := func(t topic) func(url.Values) (topic, error) {
		return func(url.Values) (topic, error) { return t, nil }
	}
	views := []view{
		{name: "batches", path: "/", topic: func(q url.Values) (topic, error) { return c.batchesTopic(q.Get("cursor")), nil }},
		{name: "chains", path: "/chains", topic: c.chainsTopic, rows: heldPerPage},
		{name: "tokens", path: "/tokens", topic: c.tokensTopic, rows: perPage},
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
	mux.HandleFunc("GET /batches/{name}/calls.csv", c.callsCSV)
	mux.HandleFunc("GET /decide", c.decidePage)
	mux.HandleFunc("POST /decide", c.decideNow)
	mux.HandleFunc("GET /events", c.events)
	mux.HandleFunc("GET /assets/{version}/{name}", c.serveAsset)
	mux.HandleFunc("GET /favicon.ico", c.serveIcon)
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
		p.Pager = v.pager(q, l)
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

// skipOf is how many rows of a list were passed: the query's skip.
func skipOf(q url.Values) (int, error) {
	text := q.Get("skip")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxSkip {
		return 0, errQuery
	}
	return n, nil
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
	return addressOf("/events?topic="+name, q, append(filters, "name", "cursor", "skip")...)
}

// pager are the addresses of other pages of a list; "" for none.
type pager struct{ First, Previous, Next string }

// pager makes the pager of a page. From cursor to cursor there is a way on, and one to the beginning.
func (v view) pager(q url.Values, l listing) (p pager) {
	at := func(place, value string) string {
		q.Set(place, value)
		return addressOf(v.path, q, append(filters, place)...)
	}
	if q.Get("cursor") != "" {
		p.First = at("cursor", "")
	}
	skip, _ := skipOf(q) // the topic's has no fault
	if skip > 0 {
		p.Previous = at("skip", skipText(skip-v.rows))
	}
	switch {
	case l.More:
		p.Next = at("skip", skipText(skip+v.rows))
	case l.Next != "":
		p.Next = at("cursor", l.Next)
	}
	return p
}

func skipText(n int) string {
	if n <= 0 {
		return ""
	}
	return strconv.Itoa(n)
}
