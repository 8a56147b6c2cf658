package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// perPage is how many rows a page of a list has.
const perPage = 50

func (c *Console) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.batchesPage)
	mux.HandleFunc("GET /batches/{name}", c.batchPage)
	mux.HandleFunc("GET /batches/{name}/calls.csv", c.callsCSV)
	mux.HandleFunc("GET /chains", c.chainsPage)
	mux.HandleFunc("GET /decide", c.decidePage)
	mux.HandleFunc("POST /decide", c.decideNow)
	mux.HandleFunc("GET /tokens", c.tokensPage)
	mux.HandleFunc("GET /workers", c.workersPage)
	if c.o.Servers != nil {
		mux.HandleFunc("GET /servers", c.serversPage)
	}
	if c.o.Schedules != nil {
		mux.HandleFunc("GET /schedules", c.schedulesPage)
	}
	mux.HandleFunc("GET /actions", c.actionsPage)
	mux.HandleFunc("GET /events", c.events)
	mux.HandleFunc("GET /assets/{version}/{name}", c.serveAsset)
	mux.HandleFunc("GET /favicon.ico", c.serveIcon)
	mux.HandleFunc("/", c.notFound)
	return mux
}

// topics are what a page shows, by the query of its address of events. The overview is
// part of each page's head.
func (c *Console) topics(q url.Values) ([]topic, error) {
	skip, err := skipOf(q)
	if err != nil {
		return nil, err
	}
	all := []topic{c.overviewTopic()}
	switch q.Get("topic") {
	case "batches":
		all = append(all, c.batchesTopic(q.Get("cursor")))
	case "batch":
		all = append(all, c.batchTopic(q.Get("name")))
	case "chains":
		a, err := lookedAtOf(q)
		if err != nil {
			return nil, err
		}
		all = append(all, c.chainsTopic(a))
	case "actions": // what people did is not watched: its page tells how many chains are held
	case "tokens":
		all = append(all, c.tokensTopic(skip))
	case "workers":
		all = append(all, c.workersTopic())
	case "servers":
		if c.o.Servers == nil {
			return nil, errQuery
		}
		all = append(all, c.serversTopic())
	case "schedules":
		if c.o.Schedules == nil {
			return nil, errQuery
		}
		all = append(all, c.schedulesTopic())
	default:
		return nil, errQuery
	}
	return all, nil
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

// eventsURL is where the changes of a page are told.
func eventsURL(topicName string, more ...string) string {
	q := url.Values{"topic": {topicName}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "/events?" + q.Encode()
}

// pager are the addresses of other pages of a list; "" for none.
type pager struct{ First, Previous, Next string }

// skipPager makes the pager of a list of which so many rows were passed. path may have a
// query.
func skipPager(path string, skip, rows int, more bool) pager {
	at := func(n int) string {
		if n == 0 {
			return path
		}
		and := "?"
		if strings.Contains(path, "?") {
			and = "&"
		}
		return path + and + "skip=" + strconv.Itoa(n)
	}
	var p pager
	if skip > 0 {
		p.Previous = at(max(0, skip-rows))
	}
	if more {
		p.Next = at(skip + rows)
	}
	return p
}

// cursorPager makes the pager of a list that is read from cursor to cursor: there is a
// way on, and one to the beginning. The rest of the query is kept.
func cursorPager(path string, q url.Values, next string) pager {
	at := func(cursor string) string {
		to := url.Values{}
		for _, key := range []string{"show", "state", "q"} {
			if q.Get(key) != "" {
				to.Set(key, q.Get(key))
			}
		}
		if cursor != "" {
			to.Set("cursor", cursor)
		}
		if len(to) == 0 {
			return path
		}
		return path + "?" + to.Encode()
	}
	var p pager
	if q.Get("cursor") != "" {
		p.First = at("")
	}
	if next != "" {
		p.Next = at(next)
	}
	return p
}
