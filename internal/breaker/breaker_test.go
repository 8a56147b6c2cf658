package breaker

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/testkit/redistest"
)

// lab is a store whose time the test sets, if the backend allows that.
type lab struct {
	*Store
	t   *testing.T
	b   redistest.Backend
	now time.Time
}

func open(t *testing.T, b redistest.Backend) *lab {
	l := &lab{Store: New(b.Client, ""), t: t, b: b, now: time.Now()}
	if b.SetTime != nil {
		b.SetTime(l.now)
	}
	return l
}

func (l *lab) pass(d time.Duration) {
	l.now = l.now.Add(d)
	l.b.SetTime(l.now)
}

func (l *lab) monitor() *Monitor {
	return NewMonitor(l.Store, time.Minute, func() time.Time {
		if l.b.SetTime != nil {
			return l.now
		}
		return time.Now()
	}, zerolog.Nop())
}

func (l *lab) refresh(m *Monitor) {
	l.t.Helper()
	if err := m.Refresh(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) server(name string) ServerStatus {
	l.t.Helper()
	all, err := l.Servers(l.t.Context(), time.Time{})
	if err != nil {
		l.t.Fatal(err)
	}
	for _, h := range all {
		if h.Server == name {
			return h
		}
	}
	return ServerStatus{}
}

func fail(m *Monitor, server string, chains ...string) {
	for _, c := range chains {
		m.Observe(server, c, false, false)
	}
}

// Failures of several workers and chains open the breaker of a server; another one is not touched.
func TestServerOpens(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		l := open(t, b)
		l.firstProbe = time.Minute
		one, two := l.monitor(), l.monitor()
		fail(one, "0042", "a", "a")
		one.Observe("0017", "x", true, false)
		fail(two, "0042", "b", "b")
		l.refresh(one)
		l.refresh(two)
		if h := l.server("0042"); h.State != Closed || h.InARow != 4 || h.Failures != 4 || h.Requests != 4 {
			t.Errorf("after four: %+v", h)
		}
		fail(one, "0042", "a")
		l.refresh(one)
		h := l.server("0042")
		if h.State != Open || h.NextProbe.Sub(h.Since) != time.Minute {
			t.Errorf("after five: %+v", h)
		}
		l.refresh(two)
		for _, m := range []*Monitor{one, two} {
			text, probe := m.Blocked()
			if want := fmt.Sprintf("0042=%d ", h.NextProbe.UnixMilli()); text != want || probe != "" {
				t.Errorf("blocked: %q, probe %q; want %q", text, probe, want)
			}
			if c := m.Counts(); c[Open] != 1 || c[Closed] != 1 {
				t.Errorf("counts %v", c)
			}
		}
		if h := l.server("0017"); h.State != Closed || h.Requests != 1 || h.Failures != 0 {
			t.Errorf("the other: %+v", h)
		}
	})
}

func TestServerStaysClosed(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		l := open(t, b)
		m := l.monitor()
		// Only one chain, however often.
		for range 4 {
			fail(m, "one", "a", "a", "a")
			l.refresh(m)
		}
		// An answer in between.
		fail(m, "two", "a", "b", "c", "d")
		l.refresh(m)
		m.Observe("two", "e", true, false)
		fail(m, "two", "a", "b", "c", "d")
		l.refresh(m)
		for _, name := range []string{"one", "two"} {
			if h := l.server(name); h.State != Closed {
				t.Errorf("%+v", h)
			}
		}
		if text, _ := m.Blocked(); text != "" {
			t.Errorf("blocked: %q", text)
		}
	})
}

// One worker at a time probes an open server, at intervals that double. An answer closes
// it.
func TestProbes(t *testing.T) {
	l := open(t, redistestMini(t))
	l.mostProbe = 7 * time.Second
	one, two := l.monitor(), l.monitor()
	fail(one, "0042", "a", "b", "c", "d", "e")
	l.refresh(one)
	for _, distance := range []time.Duration{2 * time.Second, 4 * time.Second, 7 * time.Second, 7 * time.Second} {
		h := l.server("0042")
		if h.State != Open || h.NextProbe.UnixMilli() != l.now.Add(distance).UnixMilli() {
			t.Fatalf("want a probe in %s: %+v", distance, h)
		}
		l.pass(distance - time.Millisecond)
		l.refresh(one)
		if _, probe := one.Blocked(); probe != "" {
			t.Fatalf("a probe before %s", distance)
		}
		l.pass(time.Millisecond)
		l.refresh(one)
		l.refresh(two)
		text, probe := one.Blocked()
		if probe != "0042" || strings.Contains(text, "0042") {
			t.Fatalf("no permission to probe: %q %q", text, probe)
		}
		one.Unused(probe) // the call that was begun was another server's
		if _, probe = one.Blocked(); probe != "0042" {
			t.Fatal("the permission that was given back is gone")
		}
		for _, m := range []*Monitor{one, two} {
			if text, again := m.Blocked(); again != "" || !strings.Contains(text, "0042=") {
				t.Fatalf("a second permission, or nothing blocked: %q %q", text, again)
			}
		}
		one.Observe("0042", "a", false, true)
		l.refresh(one)
	}
	l.pass(7 * time.Second)
	l.refresh(one)
	if _, probe := one.Blocked(); probe == "" {
		t.Fatal("no permission")
	}
	one.Observe("0042", "a", true, true)
	l.refresh(one)
	l.refresh(two)
	for _, m := range []*Monitor{one, two} {
		if text, _ := m.Blocked(); text != "" {
			t.Errorf("blocked after an answer: %q", text)
		}
	}
	if h := l.server("0042"); h.State != Closed || !h.NextProbe.IsZero() || h.InARow != 0 {
		t.Errorf("%+v", h)
	}
}

// If a worker dies with the permission, the others wait until that ends, and no longer.
func TestLeaveEnds(t *testing.T) {
	l := open(t, redistestMini(t))
	dies, lives := l.monitor(), l.monitor()
	fail(dies, "0042", "a", "b", "c", "d", "e")
	l.refresh(dies)
	l.pass(2 * time.Second)
	l.refresh(dies)
	if h := l.server("0042"); h.State != HalfOpen {
		t.Fatalf("%+v", h)
	}
	l.pass(time.Minute - time.Millisecond)
	l.refresh(lives)
	if _, probe := lives.Blocked(); probe != "" {
		t.Error("two leaves at a time")
	}
	l.pass(time.Millisecond)
	l.refresh(lives)
	if _, probe := lives.Blocked(); probe == "" {
		t.Error("the permission of a dead worker never ends")
	}
}

func TestManyAskForOneProbe(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		l := open(t, b)
		l.firstProbe = time.Millisecond
		m := l.monitor()
		fail(m, "0042", "a", "b", "c", "d", "e")
		if err := m.report(t.Context()); err != nil { // not Refresh, which may ask itself
			t.Fatal(err)
		}
		if b.SetTime != nil {
			l.pass(time.Second)
		}
		<-time.After(time.Until(l.server("0042").NextProbe) + time.Millisecond)
		var given atomic.Int64
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				ok, err := l.ask(t.Context(), "0042", time.Minute)
				if err != nil {
					t.Error(err)
				}
				if ok {
					given.Add(1)
				}
			})
		}
		all.Wait()
		if given.Load() != 1 {
			t.Errorf("%d got the permission", given.Load())
		}
	})
}

func TestLift(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		l := open(t, b)
		m := l.monitor()
		if _, err := l.Lift(t.Context(), "0042"); !errors.Is(err, ErrUnknownServer) {
			t.Errorf("unknown: %v", err)
		}
		fail(m, "0042", "a", "b", "c", "d", "e")
		l.refresh(m)
		if was, err := l.Lift(t.Context(), "0042"); !was || err != nil {
			t.Errorf("open: %v, %v", was, err)
		}
		if was, err := l.Lift(t.Context(), "0042"); was || err != nil {
			t.Errorf("closed: %v, %v", was, err)
		}
		l.refresh(m)
		if text, _ := m.Blocked(); text != "" || l.server("0042").State != Closed {
			t.Errorf("blocked after the lift: %q", text)
		}
	})
}

func TestWindow(t *testing.T) {
	l := open(t, redistestMini(t))
	m := l.monitor()
	fail(m, "0042", "a")
	m.Observe("0042", "a", true, false)
	l.refresh(m)
	l.pass(Window)
	if h := l.server("0042"); h.Requests != 2 || h.Failures != 1 {
		t.Errorf("a window later: %+v", h)
	}
	fail(m, "0042", "a")
	l.refresh(m)
	if h := l.server("0042"); h.Requests != 3 || h.Failures != 2 {
		t.Errorf("with one more: %+v", h)
	}
	l.pass(Window)
	if h := l.server("0042"); h.Requests != 1 || h.Failures != 1 {
		t.Errorf("two windows later: %+v", h)
	}
	l.pass(Window)
	if h := l.server("0042"); h.Requests != 0 {
		t.Errorf("three windows later: %+v", h)
	}
}

func redistestMini(t *testing.T) redistest.Backend {
	m := redistest.Mini(t)
	return redistest.Backend{Client: newClient(t, m.Addr()), SetTime: m.SetTime}
}

// If Redis is full, all workers still see a server go down, and probe it, and a person can close its breaker.
func TestFullRedis(t *testing.T) {
	redistest.BothOwn(t, func(t *testing.T, b redistest.Backend) {
		if b.Server == nil {
			t.Skip("miniredis is never full")
		}
		l := open(t, b)
		l.firstProbe = time.Nanosecond
		if err := b.Client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
			t.Fatal(err)
		}
		m := l.monitor()
		fail(m, "0042", "a", "b", "c", "d", "e")
		l.refresh(m) // tells it, and asks for the permission to probe
		if s := l.server("0042"); s.State != HalfOpen {
			t.Errorf("%+v", s)
		}
		if was, err := l.Lift(t.Context(), "0042"); err != nil || !was {
			t.Errorf("lift: %v, %v", was, err)
		}
	})
}
