package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"habilita/internal/web/hub"
)

// perPage is how many rows a page of a list has.
const perPage = 50

// view is a page that shows what read returns, and is kept up to date.
type view struct {
	name, path string // no path: it has no place in the navigation
	read       func(context.Context, url.Values) (listing, error)
}

// listing is what a view shows for a query.
type listing struct {
	Data   any
	Unread int    // parts of the ledger, or schedules, that could not be read
	Next   string // cursor of the next page; "" none
}

func (c *Console) makeViews() []view {
	return []view{
		{"batches", "/", c.readBatches},
		{"chains", "/chains", c.readChains},
		{"tokens", "/tokens", c.readTokens},
		{"servers", "/servers", c.readServers},
		{"workers", "/workers", c.readWorkers},
		{"schedules", "/schedules", c.readSchedules},
		{"actions", "/actions", c.readActions},
		{"batch", "", c.readBatch},
	}
}

// topic is what the view reads for a query.
func (v view) topic(q url.Values) hub.Topic {
	return hub.Topic{Key: eventsURL(v.name, q), Read: func(ctx context.Context) (any, error) { return v.read(ctx, q) }}
}

func (c *Console) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, v := range c.views {
		switch v.path {
		case "":
		case "/":
			mux.HandleFunc("GET /{$}", c.listPage(v))
		default:
			mux.HandleFunc("GET "+v.path, c.listPage(v))
		}
	}
	mux.HandleFunc("GET /batches/{name}", c.batchPage)
	mux.HandleFunc("GET /decide", c.deciding(c.decidePage))
	mux.HandleFunc("POST /decide", c.deciding(c.decideNow))
	mux.HandleFunc("GET /events", c.events)
	mux.HandleFunc("GET /assets/{version}/{name}", c.serveAsset)
	mux.HandleFunc("/", c.notFound)
	return mux
}

// listPage serves a view that is a list.
func (c *Console) listPage(v view) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		l, err := read[listing](r.Context(), c, v.topic(q))
		if err != nil {
			c.failRead(w, r, err)
			return
		}
		p := c.newPage(r, v.name)
		p.Live, p.Reload, p.Data, p.Unread = eventsURL(v.name, q), reloadAfter, l.Data, l.Unread
		p.Pager = newPager(v.path, q, l.Next)
		c.show(w, r, http.StatusOK, p)
	}
}

var errQuery = errors.New("console: not an address of this site")

// filters are what a query says about a list, besides the place in it.
var filters = []string{"show", "state", "q", "batch", "cause"}

// only returns the values of a query that have these names, as address takes them.
func only(q url.Values, names ...string) (pairs []string) {
	for _, name := range names {
		pairs = append(pairs, name, q.Get(name))
	}
	return pairs
}

// address returns a path with a query of pairs of a name and a value. It leaves out pairs with an empty value.
func address(path string, pairs ...string) string {
	q := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			q.Set(pair[0], pair[1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// eventsURL is where a page listens for the changes of a view.
func eventsURL(name string, q url.Values) string {
	return address("/events", append(only(q, append(filters, "name", "cursor")...), "topic", name)...)
}

// pager are the addresses of other pages of a list; "" for none.
type pager struct{ First, Next string }

// newPager makes the pager of a page, with a way on and one to the beginning.
func newPager(path string, q url.Values, next string) (p pager) {
	if q.Get("cursor") != "" {
		p.First = address(path, only(q, filters...)...)
	}
	if next != "" {
		q.Set("cursor", next)
		p.Next = address(path, only(q, append(filters, "cursor")...)...)
	}
	return p
}
