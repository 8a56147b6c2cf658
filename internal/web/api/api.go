package api

import (
	"cmp"
	"context"
	_ "embed" // the document
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/membership"
	"habilita/internal/web/guard"
	"habilita/internal/web/hub"
)

// Options are what the API needs. All but Prefix, Log, MaxBatch, Standstill and Retention are required.
type Options struct {
	Redis    redis.UniversalClient // for Idempotency-Keys
	Prefix   string                // of keys; "" is "habilita"
	Producer *engine.Producer
	Control  *control.Control
	Registry *membership.Registry
	Log      zerolog.Logger
	MaxBatch int64 // longest body of POST /v1/batches, in bytes; 0: MaxBatch
	// Standstill is how long the other side of a stream may stand still; 0: Standstill.
	Standstill time.Duration
	Retention  time.Duration // RETENTION: no Idempotency-Key is known for longer; 0: longer than IdempotencyLife
}

// The limits of a request. A body that is streamed may take as long as it keeps moving.
const (
	// MaxCall is the longest body of POST /v1/calls, in bytes.
	MaxCall = 64 << 10
	// MaxBatch is the longest body of POST /v1/batches, in bytes.
	MaxBatch = 1 << 30
	// MaxErrors is how many wrong rows an answer names.
	MaxErrors = 1000
	// requestTime is how long a request that streams nothing and decides nothing may take, besides its wait.
	requestTime = 25 * time.Second
	// Standstill is how long the other side of a stream may stand still.
	Standstill = 30 * time.Second
	// leastDistance is the least time between two looks at what requests wait for.
	leastDistance = 10 * time.Millisecond
	// looksShare limits the looks at one thing to 1/looksShare of the time.
	looksShare = 4
)

// API serves /v1. It is safe for concurrent use.
type API struct {
	Options
	keys   idempotency
	routes []route
	mux    *http.ServeMux
	served http.Handler // serve, with answers in gzip

	looks *hub.Hub // of requests with wait=
}

// route is one operation. Its pattern has the names of http.ServeMux, which are those of
// the paths of openapi.yaml; takes are the parameters that its query may have.
type route struct {
	method, pattern, takes string
	do                     handler
}

// handler answers a request whose query was read, or says why not.
type handler func(w http.ResponseWriter, r *http.Request, q url.Values) error

// New makes the API.
func New(o Options) *API {
	o.Prefix = cmp.Or(o.Prefix, "habilita")
	o.MaxBatch = cmp.Or(o.MaxBatch, MaxBatch)
	o.Standstill = cmp.Or(o.Standstill, Standstill)
	a := &API{Options: o, keys: idempotency{o.Redis, o.Prefix, min(IdempotencyLife, cmp.Or(o.Retention, IdempotencyLife))}, mux: http.NewServeMux(),
		looks: hub.New(time.Now, leastDistance, looksShare)}
	const batch, chain, schedule = "/v1/batches/{batch}", "/v1/chains/{chain}", "/v1/schedules/{schedule}"
	retry, skip := decide("retry", "chain", o.Control.Retry), decide("skip", "chain", o.Control.Skip)
	cancel, reopen := decide("cancel", "call", o.Control.Cancel), decide("reopen", "call", o.Control.Reopen)
	a.routes = []route{
		{"GET", "/v1/openapi.json", "", document("application/json", openAPIJSON)},
		{"GET", "/v1/openapi.yaml", "", document("application/yaml", openAPIYAML)},
		{"POST", "/v1/calls", "", a.enqueueCall},
		{"GET", "/v1/calls/{call}", "batch token_id wait", a.showCall},
		{"POST", "/v1/batches", "batch on_failure at in prune strict notify", a.enqueueBatch},
		{"GET", "/v1/batches", "limit cursor", list(o.Control.BatchesPage)},
		{"GET", batch, "wait", a.showBatch},
		{"GET", batch + "/calls", "limit cursor state ref", a.listCalls},
		{"GET", batch + "/calls.csv", "state ref", a.report},
		{"POST", batch + "/retry", "", retry},
		{"POST", batch + "/skip", "", skip},
		{"POST", batch + "/cancel", "", cancel},
		{"POST", batch + "/reopen", "", reopen},
		{"GET", "/v1/chains", "limit cursor state", a.listChains},
		{"GET", chain, "", show(a.chain)},
		{"POST", chain + "/retry", "", retry},
		{"POST", chain + "/skip", "", skip},
		{"POST", chain + "/cancel", "", cancel},
		{"GET", "/v1/actions", "limit cursor", list(o.Control.AuditLog().Before)},
		{"GET", "/v1/tokens", "limit cursor", list(o.Control.QuotaPage)},
		{"GET", "/v1/workers", "", show(a.workers)},
		{"GET", "/v1/schedules", "", show(a.schedules)},
		{"GET", schedule, "", show(a.schedule)},
		{"DELETE", schedule, "", deciding(a.removeSchedule)},
		{"POST", schedule + "/pause", "", act("pause", o.Control.PauseSchedule)},
		{"POST", schedule + "/resume", "", act("resume", o.Control.ResumeSchedule)},
		{"POST", schedule + "/run", "overlap", deciding(a.runSchedule)},
	}
	for _, r := range a.routes {
		a.mux.Handle(r.String(), a.handler(r))
	}
	a.served = guard.Gzip(http.HandlerFunc(a.serve))
	return a
}

// streams are the operations that may take longer than requestTime.
var streams = []string{"POST /v1/batches", "GET /v1/batches/{batch}/calls.csv"}

// ServeHTTP serves /v1.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.served.ServeHTTP(w, r) }

// serve answers 405 and 404 as problems; http.ServeMux would answer them as text, and redirect a path with an empty name.
func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	clean := path.Clean(r.URL.EscapedPath()) == r.URL.EscapedPath()
	known := func(method string) bool {
		_, pattern := a.mux.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host})
		return clean && pattern != ""
	}
	if known(r.Method) {
		a.mux.ServeHTTP(w, r)
		return
	}
	var allow []string
	for _, method := range []string{"DELETE", "GET", "HEAD", "POST"} {
		if known(method) {
			allow = append(allow, method)
		}
	}
	if allow == nil {
		guard.WriteProblem(w, r, guard.Problem{Status: http.StatusNotFound, Detail: "there is nothing at this path; /v1/openapi.yaml describes what there is"})
		return
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	guard.WriteProblem(w, r, guard.Problem{Status: http.StatusMethodNotAllowed, Detail: "this path takes " + strings.Join(allow, ", ")})
}

func (a *API) handler(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		q, err := query(r, strings.Fields(route.takes)...)
		if !slices.Contains(streams, route.String()) {
			limit := requestTime
			if wait, err := waitOf(q); err == nil { // else it is refused
				limit += wait
			}
			ctx, cancel := context.WithTimeout(r.Context(), limit)
			defer cancel()
			r = r.WithContext(ctx)
			r.Body = opened(w, r, r.Body, MaxCall)
		}
		r = r.WithContext(a.asKey(r.Context()))
		if err == nil {
			err = route.do(w, r, q)
		}
		if err != nil {
			a.fail(w, r, err)
		}
	})
}

// String is such as "GET /v1/calls/{call}".
func (r route) String() string { return r.method + " " + r.pattern }

// answer answers with v in JSON, unless there is an error.
func answer(w http.ResponseWriter, status int, v any, err error) error {
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the caller has gone, or reads it
	return nil
}

// openAPIYAML is written by hand. go test ./internal/web/api -update makes openAPIJSON
// from it, and a test compares them.
var (
	//go:embed openapi.yaml
	openAPIYAML []byte
	//go:embed openapi.json
	openAPIJSON []byte
)

// document makes the handler of a form of the document.
func document(contentType string, text []byte) handler {
	return func(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(text)
		return nil
	}
}
