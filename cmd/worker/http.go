package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/singleflight"

	"habilita/internal/breaker"
	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/membership"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
	"habilita/internal/web/api"
	"habilita/internal/web/console"
	"habilita/internal/web/guard"
)

// The limits of the HTTP server. Handlers whose bodies or answers take longer use package
// guard, which limits how long the other side may stand still.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second // of a request with its body
	writeTimeout  = 60 * time.Second // of an answer
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10 // bytes
	closeTimeout  = 10 * time.Second
)

// readier says why calls are not taken, or nil.
type readier interface {
	Ready(ctx context.Context) error
}

// site is everything that is served at LISTEN. Parts that are nil are not served.
type site struct {
	worker  readier
	metrics prometheus.Gatherer
	guard   *guard.Guard

	api     http.Handler // /v1/
	console http.Handler // all the rest
}

// newGuard makes the guard of LISTEN, from HABILITA_API_KEYS.
func newGuard(s config.Settings, log zerolog.Logger) (g *guard.Guard, err error) {
	keys, err := guard.ParseKeys(s.APIKeys)
	if err == nil {
		g, err = guard.New(keys, s.Listen, log)
	}
	if err != nil {
		return nil, usageError{err}
	}
	return g, nil
}

// readyWait is how long a probe waits for Redis.
const readyWait = 900 * time.Millisecond

// handler mounts all parts. Health, readiness and metrics are for probes, which have no
// keys; everything else is behind the guard. The API and promhttp compress their own answers.
func (s site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(rw, "ok")
	})
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyWait)
		defer cancel()
		if err := s.worker.Ready(ctx); err != nil {
			http.Error(rw, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(rw, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	if s.console != nil {
		mux.Handle("/", s.guard.Wrap(guard.Gzip(s.console)))
	}
	api := s.guard.Wrap(s.api)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if s.api != nil && strings.HasPrefix(r.URL.Path+"/", "/v1/") { // mux would redirect a path with an empty name
			api.ServeHTTP(rw, r)
			return
		}
		mux.ServeHTTP(rw, r)
	})
}

// serveOn serves until stop is called.
//
// stop first takes no new connection, and tells streams that never end (guard.UntilClosing).
// Requests in flight then have patience to end. At last it ends the context of those that
// are left, and returns when their handlers have.
func serveOn(l net.Listener, h http.Handler, patience time.Duration, log zerolog.Logger) (stop func()) {
	base, cut := context.WithCancel(context.Background())
	closing, shutDown := context.WithCancel(base)
	// Each handler holds a read lock, and stop takes the write lock for good: http.Server.Close does not wait for handlers,
	// and they use a Redis that is closed afterwards.
	var running sync.RWMutex
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !running.TryRLock() {
				http.Error(w, "this worker stops", http.StatusServiceUnavailable)
				return
			}
			defer running.RUnlock()
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return guard.WithClosing(base, closing) },
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error().Err(err).Msg("pages are not served any more")
		}
	}()
	log.Info().Str("address", l.Addr().String()).Msg("health and metrics are served")
	return func() {
		shutDown()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			log.Warn().Msg("requests to the pages were cut off, since they did not end in time")
		}
		cut()
		_ = srv.Close()
		<-done
		running.Lock()
	}
}

// traced continues a caller's trace (its traceparent header) in what the caller enqueues.
// Without a tracer it returns next.
func traced(p trace.TracerProvider, next http.Handler) http.Handler {
	if p == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// openSite opens the API and the pages, and serves them at LISTEN until stop is called. stop
// ends the requests first, then what they use. They have Redis connections of their own, so
// reading a report takes none of the worker's.
func openSite(ctx context.Context, s config.Settings, parts site, log zerolog.Logger) (stop func(), err error) {
	if s.Listen == "" {
		return func() {}, nil
	}
	var open []func() error
	closeAll := func() (err error) {
		for _, end := range slices.Backward(open) {
			err = errors.Join(err, end())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll())
		}
	}()
	rdb, err := redisconn.Open(s.RedisURL, redisconn.Options{PoolSize: 32})
	if err != nil {
		return nil, err
	}
	open = append(open, rdb.Close)
	op, err := control.Open(rdb, s.Prefix, s.Quota)
	if err != nil {
		return nil, err
	}
	producer, err := engine.NewProducer(ctx, rdb, s.Options)
	if err != nil {
		return nil, err
	}
	open = append(open, producer.Close)
	prefix := cmp.Or(s.Prefix, quota.DefaultPrefix)
	registry := membership.New(rdb, prefix)
	pages := console.New(console.Options{
		Control: op, Processes: registry, Schedules: schedule.NewStore(rdb, prefix),
		Servers: breaker.New(rdb, prefix), Location: s.Quota.Location, Log: log,
	})
	open = append(open, func() error { pages.Close(); return nil })
	parts.console = pages
	parts.api = traced(s.Tracer, api.New(api.Options{Redis: rdb, Prefix: s.Prefix, Producer: producer, Control: op, Registry: registry, Log: log, Retention: s.Retention}))
	l, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w: choose another address with LISTEN, or LISTEN=off", s.Listen, err)
	}
	end := serveOn(l, parts.handler(), closeTimeout, log)
	return func() {
		end()
		if err := closeAll(); err != nil {
			log.Warn().Err(err).Msg("the connections of the HTTP API did not close well")
		}
	}, nil
}

// scrapeWait is how long one scrape waits for figures from Redis. Prometheus gets an answer
// within a second, even if Redis does not answer.
const scrapeWait = 500 * time.Millisecond

var queueAge = prometheus.NewDesc("habilita_queue_metrics_age_seconds",
	"How old asynq's figures of its queues are: they are the last ones known while Redis does not answer.", nil, nil)

// lastKnown collects what inner does. inner asks Redis, but lastKnown does not wait long for
// it: if Redis does not answer, it gives the figures of the last answer, and their age.
type lastKnown struct {
	inner  prometheus.Collector
	asking singleflight.Group // one question at a time, however many scrapes there are

	mu    sync.Mutex
	known []prometheus.Metric
	at    time.Time // of known; zero: none yet
}

// Describe sends nothing: the metrics are known only after an answer from Redis.
func (*lastKnown) Describe(chan<- *prometheus.Desc) {}

func (l *lastKnown) Collect(ch chan<- prometheus.Metric) {
	select {
	case <-l.asking.DoChan("", l.ask):
	case <-time.After(scrapeWait):
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.known {
		ch <- m
	}
	if !l.at.IsZero() {
		ch <- prometheus.MustNewConstMetric(queueAge, prometheus.GaugeValue, time.Since(l.at).Seconds())
	}
}

// ask collects from inner and keeps the figures. If there are none, Redis failed or has no queue yet.
func (l *lastKnown) ask() (any, error) {
	got := make(chan prometheus.Metric)
	go func() {
		defer close(got)
		l.inner.Collect(got)
	}()
	var all []prometheus.Metric
	for m := range got {
		all = append(all, m)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(all) > 0 {
		l.known, l.at = all, time.Now()
	}
	return nil, nil
}

// probeTimeout is the longest time for the answer of /readyz, which asks Redis.
const probeTimeout = 5 * time.Second

// maxReason is how much of a reason a probe shows.
const maxReason = 1 << 10 // bytes

// probeCommand makes the command for health checks inside the container: the image has no shell.
func probeCommand(e env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "probe",
		Short: "Ask the worker of this container whether it takes calls",
		Long: `probe asks /readyz of the worker that runs on this machine with the same LISTEN. It is the health
check of docker-compose.yml, since the image has no shell and no other program.

Exit status: 0 the worker takes calls; 1 it does not, and why; 2 wrong usage or settings.`,
		Example: `  worker probe
  docker compose exec worker /usr/local/bin/worker probe`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := config.Load(cmd.Flags(), e.getenv, config.Pages)
			if err != nil {
				return usageError{err}
			}
			if s.Listen == "" {
				return usageError{errors.New("LISTEN is off: there is nothing to ask")}
			}
			return probe(s.Listen)
		},
	}
	config.Bind(cmd.Flags(), config.Pages)
	return cmd
}

// probe asks the worker that listens at an address of this machine.
func probe(listen string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("LISTEN: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens at all addresses: also at this one
	}
	client := http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}} // by no proxy
	resp, err := client.Get("http://" + net.JoinHostPort(host, port) + "/readyz")
	if err != nil {
		return fmt.Errorf("the worker takes no calls: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	reason, _ := io.ReadAll(io.LimitReader(resp.Body, maxReason)) // as far as it comes
	return fmt.Errorf("the worker takes no calls: %s", strings.TrimSpace(string(reason)))
}
