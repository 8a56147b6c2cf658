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
	ended chan error
	stop  context.CancelFunc
}

func keep(t *testing.T, r *membership.Registry) keeping {
	t.Helper()
	m, err := r.Join(t.Context(), process("a"), membership.Settings{"SLOTS": "1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	k := keeping{m, make(chan error, 1), stop}
	go func() { k.ended <- m.Keep(ctx) }()
	pass(0) // its first beat
	return k
}

// pass lets time go by, and waits until all have done what they do then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// end stops Keep, and fails if it met an error.
func (k keeping) end(t *testing.T) {
	t.Helper()
	k.stop()
	if err := <-k.ended; err != nil {
		t.Error(err)
	}
}

// refused fails if a process can join with other settings.
func refused(t *testing.T, r *membership.Registry) {
	t.Helper()
	if _, err := r.Join(t.Context(), process("b"), membership.Settings{"SLOTS": "2"}); err == nil {
		t.Error("another joined with other settings")
	}
}

func TestKeepForAnHour(t *testing.T) {
	bubble(t, func(t *testing.T, m *miniredis.Miniredis, r *membership.Registry) {
		k := keep(t, r)
		for range time.Hour / membership.Beat {
			pass(membership.Beat)
			until, err := m.ZScore("habilita:{agreement}:alive", "a")
			if want := time.Now().Add(membership.TTL).UnixMilli(); err != nil || int64(until) != want || !k.Current() {
				t.Fatalf("alive until %.0f (%v), want %d; current %v", until, err, want, k.Current())
			}
		}
		refused(t, r)
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
		k := keep(t, r)
		m.FlushAll()
		pass(membership.Beat)
		if all, err := r.Alive(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("alive are %v, %v", all, err)
		}
		refused(t, r)
		k.end(t)
	})
}

func TestKeepEndsWhenOthersHaveOtherSettings(t *testing.T) {
	bubble(t, func(t *testing.T, m *miniredis.Miniredis, r *membership.Registry) {
		k := keep(t, r)
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
		k := keep(t, r)
		last := time.Now()
		m.SetError("LOADING for a while")
		for time.Since(last) < time.Minute {
			pass(membership.Retry)
			if got, want := k.Current(), time.Since(last) < membership.TTL; got != want {
				t.Fatalf("%v after the last beat that worked: current %v", time.Since(last), got)
			}
		}
		m.SetError("")
		pass(membership.Retry) // it had lapsed, and nobody with other settings came in between
		if !k.Current() {
			t.Error("not current again")
		}
		k.end(t)
	})
}
