package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"habilita/internal/config"
	"habilita/internal/web/guard"
)

// The limits of what is served. Handlers whose bodies or answers take longer use package
// streaming, which limits how long the other side may stand still.
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

// site is all that is served at LISTEN. Parts that are nil are not there.
type site struct {
	worker  readier
	metrics prometheus.Gatherer
	guard   *guard.Guard

	api     http.Handler // /v1/
	console http.Handler // all the rest
}

// newGuard makes the guard of LISTEN, from HABILITA_API_KEYS.
func newGuard(s config.Settings, log zerolog.Logger) (*guard.Guard, error) {
	keys, err := guard.ParseKeys(s.APIKeys)
	if err != nil {
		return nil, usageError{err}
	}
	g, err := guard.New(keys, s.Listen, log)
	if err != nil {
		return nil, usageError{err}
	}
	return g, nil
}

// handler is the one place where parts are mounted. health, readiness and metrics are
// for probes, which have no keys; all else stands behind the guard. The API and promhttp
// compress their own answers.
func (s site) handler() http.Handler {
	mux := http.NewServeMux()
	mountHealth(mux, s.worker, s.metrics)
	if s.console != nil {
		s.console = guard.Gzip(s.console)
	}
	for path, part := range map[string]http.Handler{"/v1/": s.api, "/": s.console} {
		if part != nil {
			mux.Handle(path, s.guard.Wrap(part))
		}
	}
	return mux
}

// serve serves the site at addr, until stop is called. An empty addr serves nothing.
//
// The order of the end: stop takes no new connection and tells streams that never end
// (streaming.Closing); requests in flight have closeTimeout to end; then what is left is
// cut: its context ends, and stop returns when its handlers have.
func serve(addr string, s site, log zerolog.Logger) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w: choose another address with LISTEN, or LISTEN=off", addr, err)
	}
	return serveOn(l, s.handler(), closeTimeout, log), nil
}

func serveOn(l net.Listener, h http.Handler, patience time.Duration, log zerolog.Logger) (stop func()) {
	base, cut := context.WithCancel(context.Background())
	closing := make(chan struct{})
	running := newInFlight(h)
	srv := &http.Server{
		Handler:           running,
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
		close(closing)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			log.Warn().Msg("requests to the pages were cut off, since they did not end in time")
		}
		cut()
		_ = srv.Close()
		<-done
		running.wait(patience)
	}
}
