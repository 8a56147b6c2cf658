package wolkvoxtest_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"habilita/internal/testkit/wolkvoxtest"
)

func TestListenRefusesTheWorld(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "[::]:0", "example.com:0", "127.0.0.1"} {
		if s, err := wolkvoxtest.Listen(addr, wolkvoxtest.Options{}); err == nil {
			s.Close()
			t.Errorf("%s was taken", addr)
		}
	}
	s, err := wolkvoxtest.Listen("localhost:0", wolkvoxtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// Over TLS the simulator listens at any address; callers check its certificate.
func TestListenTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // lends its certificate
	defer certified.Close()
	s, err := wolkvoxtest.ListenTLS("127.0.0.1:0", certified.TLS.Certificates[0], wolkvoxtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, strings.ReplaceAll(s.URL, "{server}", "0001")+"/api/v2/configuration.php?api=enable_module", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("wolkvox-token", "t")
	resp, err := certified.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted || resp.ProtoMajor != 1 {
		t.Errorf("%d by HTTP/%d", resp.StatusCode, resp.ProtoMajor)
	}
	certified.Client().CloseIdleConnections()
}

// Down refuses new connections and breaks the open ones, but the work goes on; Up listens at the same address again.
func TestDownAndUp(t *testing.T) {
	v := start(t, wolkvoxtest.Options{})
	v.Hold()
	cut := v.enableAsync(t.Context(), "0001", "t", "a.1")
	v.waitInFlight(1)
	v.Down()
	v.Down()
	if g := <-cut; g.err == nil {
		t.Errorf("answered %d by a vendor that is down", g.status)
	}
	if g := v.enable("t", "b.1"); !errors.Is(g.err, syscall.ECONNREFUSED) {
		t.Errorf("got %d %v, want a refused connection", g.status, g.err)
	}
	v.Release()
	v.waitInFlight(0)
	if !v.Account().Succeeded("a") {
		t.Error("the work was lost")
	}
	for range 2 {
		if err := v.Up(); err != nil {
			t.Fatal(err)
		}
	}
	if g := v.enable("t", "b.2"); g.status != 202 {
		t.Errorf("after Up: %d %v", g.status, g.err)
	}
	if n := v.Account().Totals.Requests; n != 2 {
		t.Errorf("%d requests", n)
	}
}

// Close ends held and slow work as failed. Later requests are refused and not recorded.
func TestClose(t *testing.T) {
	v := start(t, wolkvoxtest.Options{Latency: time.Hour})
	slow := v.enableAsync(t.Context(), "0001", "t", "a.1")
	v.waitInFlight(1)
	v.Hold()
	held := v.enableAsync(t.Context(), "0001", "t", "b.1")
	v.waitInFlight(2)
	v.Simulator.Close()
	v.Simulator.Close()
	v.Hold()
	for _, c := range []<-chan got{slow, held} {
		if g := <-c; g.err == nil {
			t.Errorf("answered %d", g.status)
		}
	}
	if g := v.enable("t", "c.1"); g.status != 503 {
		t.Errorf("after Close: %d %v", g.status, g.err)
	}
	if a := v.Account(); a.Totals.InFlight != 0 || a.Totals.Successes != 0 || a.Totals.Requests != 2 {
		t.Errorf("totals %+v", a.Totals)
	}
	if v.ReleaseOne() {
		t.Error("some are held after Close")
	}
}

func TestHoldIf(t *testing.T) {
	v := start(t, wolkvoxtest.Options{})
	v.HoldIf(func(r wolkvoxtest.Record) bool { return r.Call == "a" })
	a := v.enableAsync(t.Context(), "0001", "t", "a.1")
	v.waitInFlight(1)
	if g := v.enable("t", "b.1"); g.status != 202 {
		t.Fatalf("b: %d", g.status)
	}
	v.Release()
	if g := <-a; g.status != 202 {
		t.Fatalf("a: %d", g.status)
	}
}

func TestSetToken(t *testing.T) {
	v := start(t, wolkvoxtest.Options{})
	for i, tc := range []struct {
		token wolkvoxtest.Token
		want  int
	}{{wolkvoxtest.Token{}, 202}, {wolkvoxtest.Token{Bad: true}, 403}, {wolkvoxtest.Token{Licenses: 2}, 202}} {
		v.SetToken("t", tc.token)
		if g := v.enable("t", ""); g.status != tc.want {
			t.Errorf("%d: %d, want %d", i, g.status, tc.want)
		}
	}
	if rs := v.Account().Records; rs[0].Quota != 1000 || rs[1].Quota != 0 || rs[2].Quota != 2000 {
		t.Errorf("quotas: %d %d %d", rs[0].Quota, rs[1].Quota, rs[2].Quota)
	}
}

// Account returns a copy that does not change.
func TestAccountIsACopy(t *testing.T) {
	v := start(t, wolkvoxtest.Options{})
	v.Hold()
	c := v.enableAsync(t.Context(), "0001", "t", "a.1")
	v.waitInFlight(1)
	before := v.Account()
	v.Release()
	<-c
	if before.Records[0].EndSeq != 0 || before.Of("t").Successes != 0 || before.Totals.InFlight != 1 {
		t.Errorf("changed: %+v", before)
	}
}

func BenchmarkServeHTTP(b *testing.B) {
	sim := wolkvoxtest.New(wolkvoxtest.Options{CountersOnly: true})
	defer sim.Close()
	var worker atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		req := httptest.NewRequestWithContext(b.Context(), http.MethodPut, "http://wv0001.example"+enablePath, nil)
		req.Header.Set("wolkvox-token", string(rune('a'+worker.Add(1))))
		for pb.Next() {
			sim.ServeHTTP(httptest.NewRecorder(), req)
		}
	})
}

func BenchmarkTCP(b *testing.B) {
	sim := wolkvoxtest.Start(b, wolkvoxtest.Options{Tokens: map[string]wolkvoxtest.Token{"t": {Quota: 1 << 30}}})
	client := &http.Client{Transport: &http.Transport{}}
	b.Cleanup(client.CloseIdleConnections)
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPut, sim.URL[:len(sim.URL)-len("{server}")]+"0001"+enablePath, nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("wolkvox-token", "t")
		resp, err := client.Do(req)
		if err != nil || resp.StatusCode != 202 {
			b.Fatal(resp, err)
		}
		_, err = io.Copy(io.Discard, resp.Body) // so that the connection is used again
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			b.Fatal(err)
		}
	}
}
