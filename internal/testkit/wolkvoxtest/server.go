package wolkvoxtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is a simulator that listens on a TCP port of this machine.
type Server struct {
	*Simulator
	// URL is the base of the vendor's address with {server} in it, such as http://127.0.0.1:40001/wv{server}.
	URL string

	addr string
	cert *tls.Certificate // nil: plain http
	mu   sync.Mutex
	http *http.Server  // nil while down
	over chan struct{} // closed when http serves no more
}

// TB is the part of testing.TB that Start needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Start serves a simulator on a free port until the test ends. A failure ends the test.
func Start(tb TB, opts Options) *Server {
	tb.Helper()
	s, err := Listen("127.0.0.1:0", opts)
	if err != nil {
		tb.Fatalf("start the simulator: %v", err)
	}
	tb.Cleanup(s.Close)
	return s
}

// Listen serves a simulator on addr, host:port with port 0 for a free one. It refuses any address but a loopback one,
// because the simulator takes tokens over plain http. Close it.
func Listen(addr string, opts Options) (*Server, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("listen address %q: want a loopback address such as 127.0.0.1:0", addr)
	}
	return listen("http", &Server{Simulator: New(opts), addr: addr})
}

// ListenTLS is Listen for any address: requests come over TLS, with HTTP/1.1 only. The URL has addr's host, even if
// callers can't dial it, such as 0.0.0.0.
func ListenTLS(addr string, cert tls.Certificate, opts Options) (*Server, error) {
	return listen("https", &Server{Simulator: New(opts), addr: addr, cert: &cert})
}

func listen(scheme string, s *Server) (*Server, error) {
	if err := s.Up(); err != nil {
		return nil, err
	}
	s.URL = scheme + "://" + s.addr + "/wv{server}"
	return s, nil
}

// Down breaks all connections and stops listening, so that connections are refused. The vendor goes on working on the
// requests that it has. Down has no effect on a server that is down.
func (s *Server) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http == nil {
		return
	}
	_ = s.http.Close() // the listener goes anyway, whatever the error
	<-s.over
	s.http = nil
}

// Up listens again, on the same port, after Down. It fails if somebody else has taken the port, and has no effect on a
// server that is up.
func (s *Server) Up() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil {
		return nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.addr = ln.Addr().String()
	if s.cert != nil {
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{*s.cert}, MinVersion: tls.VersionTLS12})
	}
	server := &http.Server{
		Handler:           s.Simulator,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // a simulator breaks connections on purpose
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			_ = ln.Close() // nobody is told; callers are refused
		}
	}()
	s.http, s.over = server, over
	return nil
}

// Close ends the simulator and stops listening.
func (s *Server) Close() {
	s.Simulator.Close()
	s.Down()
}
