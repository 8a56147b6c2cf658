package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"habilita/internal/config"
	"habilita/internal/engine"
	"habilita/internal/testkit/redistest"
	"habilita/internal/vault"
	"habilita/internal/web/guard"
)

type alwaysReady struct{}

func (alwaysReady) Ready(context.Context) error { return nil }

const testKey = "0123456789abcdefghij"

func startSite(t *testing.T, s site, patience time.Duration) (url string, stop func()) {
	t.Helper()
	keys, err := guard.ParseKeys("ana:write:" + testKey)
	if err != nil {
		t.Fatal(err)
	}
	s.worker, s.metrics = alwaysReady{}, prometheus.NewRegistry()
	if s.guard, err = guard.New(keys, "0.0.0.0:1", zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + l.Addr().String(), serveOn(l, s.handler(), patience, zerolog.Nop())
}

func get(t *testing.T, url, key string) (int, string) {
	t.Helper()
	req, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

func TestSite(t *testing.T) {
	part := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, name+" "+guard.From(r.Context()).Name)
		})
	}
	url, stop := startSite(t, site{api: part("api"), console: part("console")}, time.Second)
	defer stop()
	for path, want := range map[string]string{
		"/healthz": "ok\n", "/readyz": "ready\n", "/v1/calls": "api ana", "/v1/batches//calls": "api ana", "/v1": "api ana", "/": "console ana", "/batches": "console ana",
	} {
		if code, body := get(t, url+path, testKey); code != 200 || body != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
		code, _ := get(t, url+path, "")
		if open := strings.HasSuffix(path, "z"); open != (code == 200) || !open && code != 401 {
			t.Errorf("%s without a key: %d", path, code)
		}
	}
	if code, _ := get(t, url+"/metrics", ""); code != 200 {
		t.Errorf("metrics: %d", code)
	}
}

// A request in flight ends; a stream is told to end; no new one is taken.
func TestShutdownLetsRequestsEnd(t *testing.T) {
	began, streaming1, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-release
		_, _ = io.WriteString(w, "ended")
	})
	console := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(streaming1)
		ctx, end := guard.UntilClosing(r.Context())
		defer end()
		<-ctx.Done()
		close(release)
		_, _ = io.WriteString(w, "told")
	})
	url, stop := startSite(t, site{api: api, console: console}, time.Minute)
	answers := make(chan string, 2)
	for _, path := range []string{"/v1/x", "/stream"} {
		go func() {
			_, body := get(t, url+path, testKey)
			answers <- body
		}()
	}
	<-began
	<-streaming1
	stop()
	if got := <-answers + <-answers; got != "endedtold" && got != "toldended" {
		t.Errorf("got %q", got)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		t.Error("it still listens")
	}
}

// A request that does not end is cut off, and stop waits for its handler.
func TestShutdownIsBounded(t *testing.T) {
	began := make(chan struct{})
	ended := false
	api := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		ended = true
	})
	url, stop := startSite(t, site{api: api}, 10*time.Millisecond)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		req, _ := http.NewRequestWithContext(t.Context(), "GET", url+"/v1/x", nil)
		req.Header.Set("Authorization", "Bearer "+testKey)
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			t.Error("it was answered")
		}
	}()
	<-began
	stop()
	<-gone
	if !ended {
		t.Error("stop did not wait for the handler")
	}
}

func TestAddressThatOthersReachIsRefusedWithoutAKey(t *testing.T) {
	var errw strings.Builder
	env := func(name string) string {
		return map[string]string{"LISTEN": "0.0.0.0:0", "HABILITA_KEYS": "k:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}[name]
	}
	if code := run(t.Context(), []string{"--check"}, env, io.Discard, &errw); code != exitUsage || !strings.Contains(errw.String(), "HABILITA_API_KEYS") {
		t.Errorf("%d %s", code, &errw)
	}
	errw.Reset()
	bad := func(name string) string {
		if name == "HABILITA_API_KEYS" {
			return "ana:write:short"
		}
		return env(name)
	}
	if code := run(t.Context(), nil, bad, io.Discard, &errw); code != exitUsage || !strings.Contains(errw.String(), "shorter") {
		t.Errorf("%d %s", code, &errw)
	}
}

// An Idempotency-Key goes with the record of its call: RETENTION reaches the API.
func TestIdempotencyKeysGoWithRetention(t *testing.T) {
	m := redistest.Mini(t)
	keys, err := vault.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(guard.Keys{}, "127.0.0.1:1", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // another process may take the port
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		set := config.Settings{Listen: l.Addr().String(), WorkerOptions: engine.WorkerOptions{
			Options: engine.Options{Keys: keys}, RedisURL: "redis://" + m.Addr() + "/0", Retention: time.Hour,
		}}
		_ = l.Close()
		parts := site{worker: alwaysReady{}, metrics: prometheus.NewRegistry(), guard: g}
		stop, err := openSite(t.Context(), set, parts, zerolog.Nop())
		if err != nil {
			t.Log(err)
			continue
		}
		defer stop()
		req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+set.Listen+"/v1/calls", strings.NewReader(`{"server":"1","token":"t"}`))
		req.Header = http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {"k"}}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		for _, key := range m.Keys() {
			if strings.Contains(key, ":idempotency:") && m.TTL(key) == time.Hour {
				return
			}
		}
		t.Fatalf("answered %d, and no key goes after an hour: %q", res.StatusCode, m.Keys())
	}
	t.Fatal("no port")
}
