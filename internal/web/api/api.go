package api

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/membership"
	"habilita/internal/web/guard"
)

// Producer enqueues calls; *engine.Producer is one.
type Producer interface {
	Enqueue(ctx context.Context, c engine.Call) (engine.Receipt, error)
	EnqueueBatch(ctx context.Context, name string, calls iter.Seq2[engine.Call, error], opts ...engine.BatchOption) (engine.Summary, error)
	// TokenID names a token, as receipts do.
	TokenID(token engine.Token) string
}

// Options are what the API is made of. All but Prefix, Log, MaxBatch and Standstill are required.
type Options struct {
	Redis    redis.UniversalClient // for Idempotency-Keys
	Prefix   string                // of keys; "" is "habilita"
	Producer Producer
	Operator *control.Control
	Registry *membership.Registry
	Log      zerolog.Logger
	MaxBatch int64 // longest body of POST /v1/batches, in bytes; 0: MaxBatch
	// Standstill is how long the other side of a stream may stand still; 0: Standstill.
	Standstill time.Duration
}

// The limits of a request. A body that is streamed may take as long as it keeps moving.
const (
	// MaxCall is the longest body of POST /v1/calls, in bytes.
	MaxCall = 64 << 10
	// MaxBatch is the longest body of POST /v1/batches, in bytes.
	MaxBatch = 1 << 30
	// MaxErrors is how many wrong rows an answer names.
	MaxErrors = 1000
	// requestTime bounds what a request that streams nothing may take, beside its wait.
	requestTime = 25 * time.Second
	// Standstill is how long the other side of a stream may stand still.
	Standstill = 30 * time.Second
)

// API serves /v1. It is safe for concurrent use.
type API struct {
	Options
	keys   idempotency
	routes []route
	mux    *http.ServeMux
	served http.Handler // mux, with answers in gzip

	// What requests with wait= look at.
	batchLooks looks[string, control.Status]
	callLooks  looks[control.CallKey, control.CallRecord]
}

// route is one operation. Its pattern has the names of http.ServeMux, which are those of
// the paths of openapi.yaml.
type route struct {
	method, pattern string
	do              func(w http.ResponseWriter, r *http.Request) error
	streams         bool
}

// New makes the API.
func New(o Options) *API {
	if o.Prefix == "" {
		o.Prefix = "habilita"
	}
	if o.MaxBatch == 0 {
		o.MaxBatch = MaxBatch
	}
	if o.Standstill == 0 {
		o.Standstill = Standstill
	}
	a := &API{Options: o, keys: idempotency{o.Redis, o.Prefix}, mux: http.NewServeMux()}
	a.routes = []route{
		{"GET", "/v1/openapi.json", a.openAPI("application/json", openAPIJSON), false},
		{"GET", "/v1/openapi.yaml", a.openAPI("application/yaml", openAPIYAML), false},
		{"POST", "/v1/calls", a.enqueueCall, false},
		{"GET", "/v1/calls/{call}", a.showCall, false},
		{"POST", "/v1/batches", a.enqueueBatch, true},
		{"GET", "/v1/batches", a.listBatches, false},
		{"GET", "/v1/batches/{batch}", a.showBatch, false},
		{"GET", "/v1/batches/{batch}/calls", a.listCalls, false},
		{"GET", "/v1/batches/{batch}/calls.csv", a.report, true},
		{"POST", "/v1/batches/{batch}/retry", a.decide(retry, ofBatch), false},
		{"POST", "/v1/batches/{batch}/skip", a.decide(skip, ofBatch), false},
		{"POST", "/v1/batches/{batch}/cancel", a.decide(cancel, ofBatch), false},
		{"POST", "/v1/batches/{batch}/reopen", a.decide(reopen, ofBatch), false},
		{"GET", "/v1/chains", a.listChains, false},
		{"GET", "/v1/chains/{chain}", a.showChain, false},
		{"POST", "/v1/chains/{chain}/retry", a.decide(retry, ofChain), false},
		{"POST", "/v1/chains/{chain}/skip", a.decide(skip, ofChain), false},
		{"POST", "/v1/chains/{chain}/cancel", a.decide(cancel, ofChain), false},
		{"GET", "/v1/actions", a.listActions, false},
		{"GET", "/v1/tokens", a.listTokens, false},
		{"GET", "/v1/workers", a.listWorkers, false},
	}
	const schedule = "/v1/schedules/{schedule}"
	a.routes = append(a.routes,
		route{"GET", "/v1/schedules", a.listSchedules, false},
		route{"GET", schedule, a.showSchedule, false},
		route{"DELETE", schedule, a.act("remove", a.removeSchedule), false},
		route{"POST", schedule + "/pause", a.act("pause", o.Operator.PauseSchedule), false},
		route{"POST", schedule + "/resume", a.act("resume", o.Operator.ResumeSchedule), false},
		route{"POST", schedule + "/run", a.runSchedule, false},
	)
	a.batchLooks.look, a.callLooks.look = a.lookAtBatch, a.lookAtCall
	a.mount()
	a.served = guard.Gzip(a.mux)
	return a
}

// mount answers 405 and 404 as problems, which http.ServeMux would as text.
func (a *API) mount() {
	methods := map[string]map[string]http.Handler{}
	for _, r := range a.routes {
		if methods[r.pattern] == nil {
			methods[r.pattern] = map[string]http.Handler{}
		}
		h := a.handler(r)
		methods[r.pattern][r.method] = h
		if r.method == http.MethodGet {
			methods[r.pattern][http.MethodHead] = h
		}
	}
	for pattern, handlers := range methods {
		var allow []string
		for m := range handlers {
			allow = append(allow, m)
		}
		slices.Sort(allow)
		a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if h := handlers[r.Method]; h != nil {
				h.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Allow", strings.Join(allow, ", "))
			guard.WriteProblem(w, r, guard.Problem{Status: http.StatusMethodNotAllowed, Detail: "this path takes " + strings.Join(allow, ", ")})
		})
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		guard.WriteProblem(w, r, guard.Problem{Status: http.StatusNotFound, Detail: "there is nothing at this path; /v1/openapi.yaml describes what there is"})
	})
}

// ServeHTTP serves /v1.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.served.ServeHTTP(w, r) }

func (a *API) handler(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !route.streams {
			limit := requestTime
			if wait, err := waitOf(r.URL.Query()); err == nil { // else it is refused
				limit += wait
			}
			ctx, cancel := context.WithTimeout(r.Context(), limit)
			defer cancel()
			r = r.WithContext(ctx)
			r.Body = opened(w, r, r.Body, MaxCall)
		}
		r = r.WithContext(a.asKey(r.Context()))
		if err := route.do(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

// Operations are all that is served, such as "GET /v1/calls/{call}".
func (a *API) Operations() []string {
	var out []string
	for _, r := range a.routes {
		out = append(out, r.method+" "+r.pattern)
	}
	return out
}
