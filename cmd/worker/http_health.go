package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// readyWait is how long a probe waits for Redis.
const readyWait = 900 * time.Millisecond

func mountHealth(mux *http.ServeMux, w readier, metrics prometheus.Gatherer) {
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(rw, "ok")
	})
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyWait)
		defer cancel()
		if err := w.Ready(ctx); err != nil {
			http.Error(rw, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(rw, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
}

// inFlight counts the handlers that run: http.Server.Close does not wait for them, and
// they use a Redis that is closed afterwards.
type inFlight struct {
	next http.Handler

	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when over and n is 0
	over bool
}

func newInFlight(next http.Handler) *inFlight {
	return &inFlight{next: next, idle: make(chan struct{})}
}

func (f *inFlight) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	over := f.over
	if !over {
		f.n++
	}
	f.mu.Unlock()
	if over {
		http.Error(w, "this worker stops", http.StatusServiceUnavailable)
		return
	}
	defer f.end()
	f.next.ServeHTTP(w, r)
}

func (f *inFlight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n--; f.n == 0 && f.over {
		close(f.idle)
	}
}

// wait returns when no handler runs, or closeTimeout is over; none begins any more.
func (f *inFlight) wait() {
	f.mu.Lock()
	f.over = true
	if f.n == 0 {
		close(f.idle)
	}
	f.mu.Unlock()
	select {
	case <-f.idle:
	case <-time.After(closeTimeout):
	}
}

// traced lets a caller's trace (its traceparent header) go on in what it enqueues. Where
// nothing is traced it is next itself.
func traced(p trace.TracerProvider, next http.Handler) http.Handler {
	if p == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
