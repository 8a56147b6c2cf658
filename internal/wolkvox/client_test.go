package wolkvox

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestRedirectsAreNotFollowed(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		var n atomic.Int64
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			http.Redirect(w, r, other.URL+"/"+r.Header.Get("wolkvox-token"), status)
		}))
		_, err := do(t, newClient(t, Config{URL: srv.URL}), EnableModule, testRequest())
		if r := want[*RefusedError](t, err); r.Kind != Other || r.Status != status || n.Load() != 1 || elsewhere.Load() != 0 {
			t.Errorf("%#v, %d here, %d there", r, n.Load(), elsewhere.Load())
		}
		srv.Close()
	}
}

func TestRetryAfterReachesTheCaller(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "90")
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, success)
	}))
	defer srv.Close()
	c := newClient(t, Config{URL: srv.URL})
	_, err := do(t, c, EnableModule, testRequest())
	if r := want[*RefusedError](t, err); r.Kind != TooMany || r.RetryAfter != 90*time.Second || r.Code != 202 {
		t.Errorf("%#v", r)
	}
}

// TestTLS: https to this machine speaks HTTP/1.1 over TLS 1.2 or above, and reuses its
// connection. If the handshake fails, nothing was sent.
func TestTLS(t *testing.T) {
	var conns, proto2 atomic.Int64
	start := func(t *testing.T, max uint16) *httptest.Server {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 1 || r.ProtoMinor != 1 {
				proto2.Add(1)
			}
			conns.Add(1)
			io.WriteString(w, success)
		}))
		srv.EnableHTTP2 = true
		srv.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: max}
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		t.Cleanup(srv.Close)
		return srv
	}
	trusting := func(srv *httptest.Server) *Client {
		c := newClient(t, Config{URL: srv.URL})
		c.tls.RootCAs = x509.NewCertPool()
		c.tls.RootCAs.AddCert(srv.Certificate())
		return c
	}
	srv := start(t, tls.VersionTLS13)
	c := trusting(srv)
	for range 3 {
		r := testRequest()
		r.WriteBy = time.Now().Add(time.Minute)
		if _, err := do(t, c, EnableModule, r); err != nil {
			t.Fatal(err)
		}
	}
	if conns.Load() != 3 || proto2.Load() != 0 {
		t.Errorf("%d requests, %d not HTTP/1.1", conns.Load(), proto2.Load())
	}
	_, err := do(t, newClient(t, Config{URL: srv.URL}), EnableModule, testRequest())
	want[*NotSentError](t, err)
	if !is[*tls.CertificateVerificationError](err) {
		t.Errorf("the cause is lost: %v", err)
	}
	old := start(t, tls.VersionTLS11)
	_, err = do(t, trusting(old), EnableModule, testRequest())
	want[*NotSentError](t, err)
	if conns.Load() != 3 {
		t.Errorf("%d requests", conns.Load())
	}
}

func TestBadRequestsAreNotSent(t *testing.T) {
	s := wire(t, reply(answerText(202, success)))
	c := newClient(t, Config{URL: s.url()})
	for name, change := range map[string]func(*Request){
		"no server":       func(r *Request) { r.Server = "" },
		"other host":      func(r *Request) { r.Server = "1.evil.example/" },
		"short server":    func(r *Request) { r.Server = "42" },
		"no token":        func(r *Request) { r.Token = "" },
		"token with line": func(r *Request) { r.Token += "\r\nX: y" },
		"ID with line":    func(r *Request) { r.ID = "a\r\nX: y" },
		"long ID":         func(r *Request) { r.ID = strings.Repeat("x", 201) },
	} {
		r := testRequest()
		change(r)
		_, err := do(t, c, EnableModule, r)
		if n := want[*NotSentError](t, err); n.Late {
			t.Errorf("%s: %#v", name, n)
		}
	}
	if s.conns.Load() != 0 {
		t.Errorf("%d connections", s.conns.Load())
	}
	_, err := c.Do(t.Context(), EnableModule, &Request{})
	var se *ServerError
	if !errors.As(err, &se) {
		t.Errorf("%v", err)
	}
	_, err = c.Do(t.Context(), EnableModule, &Request{Server: "0042"})
	if err == nil || !strings.Contains(err.Error(), "wolkvox: not a token: it is empty") {
		t.Errorf("%v", err)
	}
}

// TestLocalNameStaysLocal: a rehearsal dials only this machine, whatever address a
// name has.
func TestLocalNameStaysLocal(t *testing.T) {
	d := &Client{to: template{local: true}}
	for _, addr := range []string{"192.0.2.1:80", "[2001:db8::1]:80", "junk"} {
		if err := d.control("tcp", addr, nil); !errors.Is(err, errHost) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	s := wire(t, reply(answerText(202, success)))
	c := newClient(t, Config{URL: s.url()})
	const workers, each = 32, 25
	var wg sync.WaitGroup
	var failed atomic.Int64
	for range workers {
		wg.Go(func() {
			for range each {
				r := testRequest()
				r.WriteBy = time.Now().Add(30 * time.Second)
				if _, err := c.Do(t.Context(), EnableModule, r); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if failed.Load() != 0 || s.requests.Load() != workers*each || s.conns.Load() > 2*workers {
		t.Errorf("%d failed, %d requests, %d connections", failed.Load(), s.requests.Load(), s.conns.Load())
	}
}
