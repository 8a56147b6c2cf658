package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
	"habilita/internal/wolkvox"
)

// hangingVendor answers when the request is cut off.
type hangingVendor struct{ asked chan struct{} }

func (v *hangingVendor) Do(ctx context.Context, _ wolkvox.Operation, _ *wolkvox.Request) (wolkvox.Answer, error) {
	v.asked <- struct{}{}
	<-ctx.Done()
	return wolkvox.Answer{}, ctx.Err()
}

// Ready says no while Redis takes no writes or does not answer, and yes afterwards.
func TestReady(t *testing.T) {
	t.Parallel()
	ways := map[string]refusal{
		"hangs": func(_ *testing.T, s *redistest.Server, _ *redis.Client) func() { s.Pause(); return s.Resume },
	}
	for name, way := range refusals {
		ways[name] = way
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			w := openWorld(t, s.URL, testKey(t), func(o *WorkerOptions) {
				// A replica that takes over freezes the grants for one lease.
				o.CallTimeout, o.VendorTimeout, o.SlotMargin = 500*time.Millisecond, 500*time.Millisecond, 200*time.Millisecond
			})
			w.begin()
			ready := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), writableWait)
				defer cancel()
				return w.Ready(ctx)
			}
			until(t, "a worker that is ready", func() bool { return ready() == nil })
			lift := way(t, s, s.Client())
			until(t, "a worker that is not ready", func() bool {
				err := ready()
				if errors.Is(err, errNotCurrent) {
					t.Error("it said so only when the membership had lapsed")
				}
				return err != nil
			})
			lift()
			until(t, "a worker that is ready again", func() bool { return ready() == nil })
			if n := s.Client().Exists(t.Context(), "habilita:{habilita}:none").Val(); n != 0 {
				t.Error("the question leaves a key")
			}
		})
	}
}

// Ready also says what this process knows by itself.
func TestNotReadyWhileNoCallCanRun(t *testing.T) {
	t.Parallel()
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), nil)
	if err := w.Ready(t.Context()); err == nil {
		t.Error("ready before it runs")
	}
	w.begin()
	until(t, "a worker that is ready", func() bool { return w.Ready(t.Context()) == nil })
	w.append("token-1", "a")
	w.runner.publish(t.Context(), w.dispatch(w.append("token-2", "b"))) // makes the queue
	if err := w.dispatcher.inspector.PauseQueue(w.stack.queues[0]); err != nil {
		t.Fatal(err)
	}
	until(t, "a paused queue", func() bool { return w.Ready(t.Context()) != nil })
	if err := w.dispatcher.inspector.UnpauseQueue(w.stack.queues[0]); err != nil {
		t.Fatal(err)
	}
	until(t, "a queue that goes on", func() bool { return w.Ready(t.Context()) == nil })
	w.stack.notBefore.Until(w.stack.clock.Now().Add(time.Minute))
	if err := w.Ready(t.Context()); err == nil {
		t.Error("ready while nothing is granted")
	}
}

// However many callers there are, Redis is asked once at a time and once a second. No caller waits
// for longer than it wants.
func TestWritableAsksOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		hang := make(chan struct{})
		w := &writable{ask: func() error { asked.Add(1); <-hang; return nil }}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				if err := w.check(ctx); err == nil || time.Since(began) > time.Second {
					t.Errorf("%v after %s", err, time.Since(began))
				}
			})
		}
		all.Wait()
		close(hang)
		synctest.Wait()
		for range 5 {
			if err := w.check(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("Redis was asked %d times, want 1", n)
		}
		time.Sleep(writableFor)
		if _ = w.check(t.Context()); asked.Load() != 2 {
			t.Error("an old answer was taken for a new one")
		}
	})
}
