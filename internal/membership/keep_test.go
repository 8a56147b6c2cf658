package membership_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"habilita/internal/membership"
)

// bubble runs f in simulated time, with a miniredis whose clock is that of the bubble.
func bubble(t *testing.T, f func(t *testing.T, m *miniredis.Miniredis, r *membership.Registry)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		c := redis.NewClient(&redis.Options{
			Dialer:     func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
			Addr:       "127.0.0.1:6379", // a name would be looked up outside the bubble
			MaxRetries: -1,
		})
		t.Cleanup(m.Close)
		t.Cleanup(func() { _ = c.Close() })
		f(t, m, membership.New(c, "habilita"))
	})
}

// keeping is a Keep that runs.
type keeping struct {
	*membership.Membership
	pulses chan membership.Pulse
	ended  chan error
	stop   context.CancelFunc
}

func keep(t *testing.T, r *membership.Registry, id string, terms membership.Settings) keeping {
	t.Helper()
	m, err := r.Join(t.Context(), process(id), terms)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	k := keeping{m, make(chan membership.Pulse), make(chan error, 1), stop}
	go func() {
		k.ended <- m.Keep(ctx, func(p membership.Pulse) {
			select {
			case k.pulses <- p:
			case <-ctx.Done():
			}
		})
	}()
	return k
}

// end stops Keep, and wants it to have met nothing.
func (k keeping) end(t *testing.T) {
	t.Helper()
	k.stop()
	if err := <-k.ended; err != nil {
		t.Error(err)
	}
}

func (k keeping) fine(t *testing.T, rejoined bool) {
	t.Helper()
	if p := <-k.pulses; p.Err != nil || p.Rejoined != rejoined {
		t.Fatalf("got the pulse %+v, want rejoined %v", p, rejoined)
	}
}

func TestKeepForAnHour(t *testing.T) {
	bubble(t, func(t *testing.T, _ *miniredis.Miniredis, r *membership.Registry) {
		k := keep(t, r, "a", membership.Settings{"SLOTS": "1"})
		began := time.Now()
		for range 721 {
			k.fine(t, false)
			if !k.Current() {
				t.Fatal("not current")
			}
		}
		if d := time.Since(began); d != time.Hour {
			t.Errorf("721 beats took %v, want 1h", d)
		}
		if _, err := r.Join(t.Context(), process("b"), membership.Settings{"SLOTS": "2"}); err == nil {
			t.Error("another joined with other terms")
		}
		k.end(t)
		if err := k.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Join(t.Context(), process("b"), membership.Settings{"SLOTS": "2"}); err != nil {
			t.Error(err)
		}
	})
}

func TestKeepJoinsAgain(t *testing.T) {
	bubble(t, func(t *testing.T, m *miniredis.Miniredis, r *membership.Registry) {
		k := keep(t, r, "a", membership.Settings{"SLOTS": "1"})
		k.fine(t, false)
		m.FlushAll()
		k.fine(t, true)
		k.fine(t, false)
		if _, err := r.Join(t.Context(), process("b"), membership.Settings{"SLOTS": "2"}); err == nil {
			t.Error("another joined with other terms")
		}
		k.end(t)
	})
}

func TestKeepEndsWhenOthersHaveOtherSettings(t *testing.T) {
	bubble(t, func(t *testing.T, m *miniredis.Miniredis, r *membership.Registry) {
		k := keep(t, r, "a", membership.Settings{"SLOTS": "1"})
		k.fine(t, false)
		m.FlushAll()
		if _, err := r.Join(t.Context(), process("b"), membership.Settings{"SLOTS": "2"}); err != nil {
			t.Fatal(err)
		}
		var e *membership.MismatchError
		if err := <-k.ended; !errors.As(err, &e) || e.With[0].ID != "b" || e.Differences[0].Theirs != "2" {
			t.Errorf("got %v", err)
		}
		if k.Current() {
			t.Error("still current")
		}
		k.stop()
	})
}

func TestKeepOutlivesRedisThatFails(t *testing.T) {
	bubble(t, func(t *testing.T, m *miniredis.Miniredis, r *membership.Registry) {
		k := keep(t, r, "a", membership.Settings{"SLOTS": "1"})
		k.fine(t, false)
		last := time.Now()
		m.SetError("LOADING for a while")
		for time.Since(last) < time.Minute {
			if p := <-k.pulses; p.Err == nil {
				t.Fatal("a beat worked without Redis")
			}
			if got, want := k.Current(), time.Since(last) < membership.TTL; got != want {
				t.Fatalf("%v after the last beat that worked: current %v", time.Since(last), got)
			}
		}
		m.SetError("")
		k.fine(t, true) // it had lapsed, and nobody with other settings came in between
		if !k.Current() {
			t.Error("not current again")
		}
		if d := time.Since(last); d != time.Minute+membership.Retry {
			t.Errorf("back after %v", d)
		}
		k.end(t)
	})
}
