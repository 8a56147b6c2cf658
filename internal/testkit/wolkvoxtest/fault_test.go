package wolkvoxtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"habilita/internal/testkit/wolkvoxtest"
)

// Each fault, as a raw client sees it and as the account records it.
func TestFaults(t *testing.T) {
	status := func(want int) func(*testing.T, got) {
		return func(t *testing.T, g got) {
			if g.err != nil || g.status != want {
				t.Errorf("got %d %s %v, want %d", g.status, g.body, g.err, want)
			}
		}
	}
	forbidden := func(msg string) func(*testing.T, got) {
		return func(t *testing.T, g got) {
			status(403)(t, g)
			if !strings.Contains(g.msg(t), msg) {
				t.Errorf("msg %q, want %q", g.msg(t), msg)
			}
		}
	}
	isReset := func(t *testing.T, g got) {
		if !errors.Is(g.err, syscall.ECONNRESET) {
			t.Errorf("got %d %v, want a reset", g.status, g.err)
		}
	}
	for _, tc := range []struct {
		fault         wolkvoxtest.Fault
		check         func(*testing.T, got)
		done, unknown bool
	}{
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.Status500}, check: status(500)},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.Status502}, check: func(t *testing.T, g got) {
			status(502)(t, g)
			if !strings.HasPrefix(string(g.body), "<html>") {
				t.Errorf("body %s", g.body)
			}
		}},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.Status503, RetryAfter: "7"}, check: func(t *testing.T, g got) {
			status(503)(t, g)
			if g.header.Get("Retry-After") != "7" {
				t.Errorf("header %v", g.header)
			}
		}},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.TooMany}, check: func(t *testing.T, g got) {
			status(429)(t, g)
			if g.header.Get("Retry-After") != "2" {
				t.Errorf("header %v", g.header)
			}
		}},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.TokenLimit}, check: forbidden("TOKEN LIMIT EXCEEDED")},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.Simultaneous}, check: forbidden("EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN (2)")},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.BadToken}, check: forbidden("PLEASE VALIDATE TOKEN")},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.Maintenance}, check: forbidden("MAINTENANCE")},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.HTML}, check: func(t *testing.T, g got) {
			status(200)(t, g)
			if !strings.HasPrefix(g.header.Get("Content-Type"), "text/html") || json.Valid(g.body) {
				t.Errorf("%v %s", g.header, g.body)
			}
		}},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.Redirect}, check: func(t *testing.T, g got) {
			status(307)(t, g)
			if g.header.Get("Location") == "" {
				t.Errorf("header %v", g.header)
			}
		}},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.Cut}, done: true, unknown: true, check: func(t *testing.T, g got) {
			if !errors.Is(g.err, io.ErrUnexpectedEOF) || g.status != 202 {
				t.Errorf("got %d %v", g.status, g.err)
			}
		}},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.Empty}, done: true, unknown: true, check: func(t *testing.T, g got) {
			status(202)(t, g)
			if len(g.body) > 0 {
				t.Errorf("body %s", g.body)
			}
		}},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.Garbage}, done: true, unknown: true, check: func(t *testing.T, g got) {
			status(202)(t, g)
			if json.Valid(g.body) || len(g.body) == 0 {
				t.Errorf("body %s", g.body)
			}
		}},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.BOM}, done: true, check: func(t *testing.T, g got) {
			status(202)(t, g)
			if after, ok := strings.CutPrefix(string(g.body), "\xef\xbb\xbf"); !ok || !json.Valid([]byte(after)) {
				t.Errorf("body %q", g.body)
			}
		}},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.WrongType}, done: true, check: func(t *testing.T, g got) {
			status(202)(t, g)
			if !strings.HasPrefix(g.header.Get("Content-Type"), "text/html") || !json.Valid(g.body) {
				t.Errorf("%v %s", g.header, g.body)
			}
		}},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.Oversized}, done: true, unknown: true, check: func(t *testing.T, g got) {
			status(202)(t, g)
			if len(g.body) < 8<<20 || !json.Valid(g.body) {
				t.Errorf("%d bytes", len(g.body))
			}
		}},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.ResetBefore}, unknown: true, check: isReset},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.ResetAfter}, done: true, unknown: true, check: isReset},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.Slow, Delay: time.Millisecond}, done: true, check: status(202)},
		{fault: wolkvoxtest.Fault{Kind: wolkvoxtest.Drip, Delay: time.Millisecond}, done: true, check: func(t *testing.T, g got) {
			status(202)(t, g)
			if !json.Valid(g.body) {
				t.Errorf("body %s", g.body)
			}
		}},
	} {
		t.Run(string(tc.fault.Kind), func(t *testing.T) {
			v := start(t, wolkvoxtest.Options{Script: wolkvoxtest.Always(tc.fault)})
			tc.check(t, v.enable("t", "c.1"))
			v.waitInFlight(0)
			a := v.Account()
			if len(a.Records) != 1 {
				t.Fatalf("%d requests", len(a.Records))
			}
			r := a.Records[0]
			if r.Fault != tc.fault.Kind || r.Success != tc.done || r.Unknown() != tc.unknown {
				t.Errorf("done %v, unknown %v; record %+v", tc.done, tc.unknown, r)
			}
		})
	}
}

func TestKindsCanBeParsed(t *testing.T) {
	for _, k := range wolkvoxtest.Kinds() {
		f, err := wolkvoxtest.ParseFault(" " + string(k) + ":3s")
		if err != nil || f.Kind != k || f.Delay != 3*time.Second {
			t.Errorf("%s: %+v %v", k, f, err)
		}
	}
	for _, text := range []string{"", "nope", "slow:x", "slow:-1s"} {
		if _, err := wolkvoxtest.ParseFault(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// A caller that follows a redirect has a violation.
func TestRedirectFollowed(t *testing.T) {
	v := start(t, wolkvoxtest.Options{Script: wolkvoxtest.Always(wolkvoxtest.Fault{Kind: wolkvoxtest.Redirect})})
	v.client.CheckRedirect = nil
	if g := v.enable("t", "c.1"); g.status != 404 {
		t.Fatalf("got %d %v", g.status, g.err)
	}
	if rs := v.Account().Accused(wolkvoxtest.ViolationPath); len(rs) != 1 || rs[0].Seq == 1 {
		t.Errorf("accused: %+v", rs)
	}
}

// Broken connections hold their slot for as long as the vendor works, except ResetBefore, which does no work.
func TestResetsAndSlots(t *testing.T) {
	v := start(t, wolkvoxtest.Options{Script: inTurn(wolkvoxtest.ResetBefore, wolkvoxtest.ResetAfter, wolkvoxtest.Cut)})
	v.Hold()
	if g := v.enable("t", "a.1"); g.err == nil {
		t.Fatal("want a reset, and that it is not held")
	}
	one := v.enableAsync(t.Context(), "0001", "t", "b.1")
	v.waitInFlight(1)
	two := v.enableAsync(t.Context(), "0001", "t", "c.1")
	v.waitInFlight(2)
	if g := v.enable("t", "d.1"); g.status != 403 {
		t.Fatalf("third: %d", g.status)
	}
	v.Release()
	if g := <-one; g.err == nil {
		t.Error("want a reset")
	}
	if g := <-two; g.err == nil {
		t.Error("want a cut body")
	}
	v.waitInFlight(0)
	if n := len(v.Account().UnknownOutcomes()); n != 3 {
		t.Errorf("unknown outcomes: %d", n)
	}
}

// inMemory runs f with a simulator over a Pipe in a bubble, where time is simulated.
func inMemory(t *testing.T, opts wolkvoxtest.Options, f func(t *testing.T, sim *wolkvoxtest.Simulator, put func(context.Context) (int, error))) {
	synctest.Test(t, func(t *testing.T) {
		sim, pipe := wolkvoxtest.New(opts), wolkvoxtest.NewPipe()
		server := &http.Server{Handler: sim}
		served := make(chan error, 1)
		go func() { served <- server.Serve(pipe) }()
		transport := &http.Transport{DialContext: pipe.DialContext}
		f(t, sim, func(ctx context.Context) (int, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://wv0001.test"+enablePath, nil)
			if err != nil {
				return 0, err
			}
			req.Header.Set("wolkvox-token", "t")
			resp, err := transport.RoundTrip(req)
			if err != nil {
				return 0, err
			}
			_, err = io.Copy(io.Discard, resp.Body)
			return resp.StatusCode, errors.Join(err, resp.Body.Close())
		})
		transport.CloseIdleConnections()
		sim.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		if _, err := pipe.DialContext(t.Context(), "tcp", "x"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dial after close: %v", err)
		}
		if _, err := pipe.Accept(); !errors.Is(err, net.ErrClosed) || pipe.Addr().Network() != pipe.Addr().String() {
			t.Errorf("accept after close: %v", err)
		}
	})
}

func TestSlowBeyondTheTimeout(t *testing.T) {
	opts := wolkvoxtest.Options{Latency: time.Second, Script: inTurn(wolkvoxtest.Slow)}
	inMemory(t, opts, func(t *testing.T, sim *wolkvoxtest.Simulator, put func(context.Context) (int, error)) {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		if _, err := put(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("slow: %v", err)
		}
		if a := sim.Account(); a.Totals.InFlight != 1 {
			t.Fatalf("after the time-out: %+v", a.Totals)
		}
		if status, err := put(t.Context()); status != 202 || err != nil {
			t.Fatalf("second: %d %v", status, err)
		}
		if err := sim.Wait(t.Context(), func(a wolkvoxtest.Account) bool { return a.Totals.InFlight == 0 }); err != nil {
			t.Fatal(err)
		}
		rs := sim.Account().Records
		if got := rs[0].Ended.Sub(rs[0].Arrived); got != 91*time.Second || !rs[0].Success || !rs[0].Gone {
			t.Errorf("slow: worked %v, %+v", got, rs[0])
		}
		if got := rs[1].Ended.Sub(rs[1].Arrived); got != time.Second || rs[1].InFlight != 2 || rs[1].Gone {
			t.Errorf("second: worked %v, %+v", got, rs[1])
		}
	})
}

func TestDripTakesItsTime(t *testing.T) {
	opts := wolkvoxtest.Options{Script: wolkvoxtest.Always(wolkvoxtest.Fault{Kind: wolkvoxtest.Drip, Delay: 32 * time.Second})}
	inMemory(t, opts, func(t *testing.T, sim *wolkvoxtest.Simulator, put func(context.Context) (int, error)) {
		begin := time.Now()
		if status, err := put(t.Context()); status != 202 || err != nil {
			t.Fatalf("drip: %d %v", status, err)
		}
		if took := time.Since(begin); took != 32*time.Second {
			t.Errorf("took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := put(ctx); err == nil {
			t.Error("want a time-out")
		}
		if err := sim.Wait(t.Context(), func(a wolkvoxtest.Account) bool { return a.Totals.InFlight == 0 }); err != nil {
			t.Fatal(err)
		}
		if r := sim.Account().Records[1]; !r.Gone || r.Ended.Sub(r.Arrived) != 32*time.Second {
			t.Errorf("nobody reads: %+v", r)
		}
	})
}

func TestJitterIsSeeded(t *testing.T) {
	work := func(seed uint64) (times [4]time.Duration) {
		opts := wolkvoxtest.Options{Latency: time.Second, Jitter: time.Second, Seed: seed}
		inMemory(t, opts, func(t *testing.T, sim *wolkvoxtest.Simulator, put func(context.Context) (int, error)) {
			for i := range times {
				begin := time.Now()
				if _, err := put(t.Context()); err != nil {
					t.Fatal(err)
				}
				times[i] = time.Since(begin)
				if times[i] < time.Second || times[i] >= 2*time.Second {
					t.Errorf("worked %v", times[i])
				}
			}
		})
		return times
	}
	if a, b, c := work(1), work(1), work(2); a != b || a == c {
		t.Errorf("seeds 1, 1, 2: %v %v %v", a, b, c)
	}
}

func TestPipeDialGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := wolkvoxtest.NewPipe().DialContext(ctx, "tcp", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("dial: %v", err)
	}
}

// If a connection can't be hijacked, a reset still aborts it.
func TestResetWithoutHijack(t *testing.T) {
	sim := wolkvoxtest.New(wolkvoxtest.Options{Script: wolkvoxtest.Always(wolkvoxtest.Fault{Kind: wolkvoxtest.ResetAfter})})
	defer sim.Close()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://wv0001.example"+enablePath, nil)
	req.Header.Set("wolkvox-token", "t")
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("panic %v", p)
		}
		if a := sim.Account(); a.Totals.Successes != 1 || a.Totals.InFlight != 0 {
			t.Errorf("totals: %+v", a.Totals)
		}
	}()
	sim.ServeHTTP(httptest.NewRecorder(), req)
}
