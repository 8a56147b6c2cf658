package quota

import (
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

func TestSettings(t *testing.T) {
	s, err := Settings{}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if s.Prefix != "habilita" || s.Slots != 2 || s.Lease != 65*time.Second || s.DefaultLicenses != 1 || s.Guard != 3*time.Second || s.Location.String() != "America/Bogota" {
		t.Fatalf("defaults %+v", s)
	}
	rdb := redis.NewClient(&redis.Options{})
	defer func() { _ = rdb.Close() }()
	for _, c := range []struct {
		bad   Settings
		names []string
	}{
		{Settings{Prefix: "a{b}"}, []string{"Prefix"}},
		{Settings{Slots: 3, Lease: -1, DefaultLicenses: -1, Guard: -1}, []string{"Slots 3", "Lease", "DefaultLicenses -1", "Guard"}},
		{Settings{DefaultLicenses: math.MaxInt}, []string{"DefaultLicenses 9223372036854775807"}},
		{Settings{Slots: -1, Lease: 13 * time.Hour, Guard: 2 * time.Hour}, []string{"Slots", "Lease 13h", "Guard 2h"}},
		{Settings{Lease: 1500 * time.Microsecond, Guard: 1500 * time.Microsecond}, []string{"Lease 1.5ms", "Guard 1.5ms"}},
		{Settings{Lease: time.Microsecond, Guard: time.Microsecond}, []string{"Lease", "Guard"}},
	} {
		_, err := New(rdb, c.bad)
		if err == nil {
			t.Fatalf("%+v is taken", c.bad)
		}
		for _, name := range c.names {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%v does not name %s", err, name)
			}
		}
	}
	if _, err := New(nil, Settings{}); err == nil {
		t.Error("no client is taken")
	}
}

func TestNames(t *testing.T) {
	if got := Tag("k7qm"); got != "k7" || Tag("k") != "k" {
		t.Fatal(got)
	}
	w := newWorld(t, startMini(t), Settings{}, 0)
	ctx := t.Context()
	for _, bad := range []string{"", "ab", "}a}", "a b c", "tökén", strings.Repeat("x", 129), "a:b:c"} {
		g := Grant{Token: bad, Nonce: "n", Days: "20260310"}
		var errs []error
		keep := func(err error) { errs = append(errs, err) }
		_, err := w.l.Try(ctx, bad)
		keep(err)
		_, err = w.l.Acquire(ctx, bad)
		keep(err)
		keep(w.l.Release(ctx, g))
		keep(w.l.GiveBack(ctx, g))
		_, err = w.l.Peek(ctx, bad)
		keep(err)
		_, err = w.l.Cool(ctx, bad, noon, "x", 0)
		keep(err)
		_, err = w.l.Lift(ctx, bad)
		keep(err)
		keep(w.l.SetLicenses(ctx, bad, 1))
		for i, err := range errs {
			if !errors.Is(err, ErrName) || len(bad) > 2 && strings.Contains(err.Error(), bad) {
				t.Errorf("call %d with %q: %v", i, bad, err)
			}
		}
	}
	for _, g := range []Grant{{Token: token}, {Token: token, Nonce: "n"}, {Token: token, Nonce: "n", Days: ","}} {
		if err := w.l.GiveBack(ctx, g); err != ErrGrant {
			t.Errorf("%+v: %v", g, err)
		}
	}
}

// No Redis, no grant; and answers that are not those of our scripts are errors.
func TestFailsClosed(t *testing.T) {
	m := miniredis.RunT(t)
	c := redis.NewClient(&redis.Options{Addr: m.Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = c.Close() })
	l := limiter(t, c, Settings{})
	m.SetTime(noon)
	d, err := l.Try(t.Context(), token)
	if err != nil || !d.Granted {
		t.Fatal(d, err)
	}
	fails := func(what string) {
		t.Helper()
		ctx := t.Context()
		if d, err := l.Try(ctx, token); err == nil || d != (Decision{}) {
			t.Errorf("%s: try: %+v, %v", what, d, err)
		}
		if g, err := l.Acquire(ctx, token); err == nil || g != (Grant{}) {
			t.Errorf("%s: acquire: %+v, %v", what, g, err)
		}
		if l.Release(ctx, d.Grant) == nil {
			t.Errorf("%s: release", what)
		}
		if _, err := l.leave(ctx, token, "me"); err == nil {
			t.Errorf("%s: leave", what)
		}
		if _, err := l.Peek(ctx, token); err == nil {
			t.Errorf("%s: peek", what)
		}
		if _, err := l.Cool(ctx, token, noon, "x", 0); err == nil {
			t.Errorf("%s: cool", what)
		}
		if l.SetLicenses(ctx, token, 1) == nil {
			t.Errorf("%s: licences", what)
		}
	}
	m.SetError("LOADING Redis is loading the dataset in memory")
	fails("loading")
	m.SetError("")
	m.Close()
	fails("gone")
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		if d := time.Until(c.Now()); d != 0 {
			t.Fatalf("the zero clock is off by %v", d)
		}
		c.Observe(0)
		c.Observe(-5)
		if d := time.Until(c.Now()); d != 0 {
			t.Fatalf("no time was learned: %v", d)
		}
		server := time.Now().Add(48 * time.Hour)
		c.Observe(server.UnixMilli())
		<-time.After(time.Hour)
		if got := c.Now(); got.UnixMilli() != server.Add(time.Hour).UnixMilli() {
			t.Fatalf("an hour later it is %v", got)
		}
		c.Observe(server.Add(time.Hour + 20*time.Millisecond).UnixMilli()) // within the slack
		if got := c.Now(); got.UnixMilli() != server.Add(time.Hour).UnixMilli() {
			t.Fatalf("it is %v", got)
		}
		c.Observe(server.Add(-time.Hour).UnixMilli()) // it stepped back
		if got := c.Now(); got.UnixMilli() != server.Add(-time.Hour).UnixMilli() {
			t.Fatalf("after a step it is %v", got)
		}
	})
}

func BenchmarkTryRelease(b *testing.B) {
	r := startReal(b)
	l := limiter(b, r.client, Settings{DefaultLicenses: 1 << 20})
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d, err := l.Try(b.Context(), token)
			if err != nil || !d.Granted {
				b.Fatal(d, err)
			}
			if err := l.Release(b.Context(), d.Grant); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				d, err := l.Try(b.Context(), token)
				if err != nil {
					b.Error(err)
				}
				if d.Granted {
					if err := l.Release(b.Context(), d.Grant); err != nil {
						b.Error(err)
					}
				}
			}
		})
	})
}
