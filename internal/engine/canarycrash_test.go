package engine

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

var errDied = errors.New("the producer died")

// dies gives the first n calls of all; then its producer dies.
func dies(all iter.Seq2[Call, error], n int) iter.Seq2[Call, error] {
	return func(yield func(Call, error) bool) {
		given := 0
		for c, err := range all {
			if given == n {
				yield(Call{}, errDied)
				return
			}
			given++
			if !yield(c, err) {
				return
			}
		}
	}
}

// The producer dies before all canaries are in the ledger: those that are there prove
// nothing, however they end. The same command adds the rest of them first.
func TestProducerDiesAmongTheCanaries(t *testing.T) {
	t.Parallel()
	redistest.BothOwn(t, func(t *testing.T, b redistest.Backend) {
		for n := range 3 {
			w := newCanaryWorld(t, b)
			if _, err := w.p.EnqueueBatch(t.Context(), "b", dies(canaryRows(10), n), BatchOptions{Canary: 3}); !errors.Is(err, errDied) {
				t.Fatal(err)
			}
			w.attempt(canaryDone)
			if n == 0 { // nothing was read
				if _, err := w.op.Status(t.Context(), "b"); !errors.Is(err, ledger.ErrNoBatch) {
					t.Errorf("it left a batch: %v", err)
				}
			} else if s := w.status(); s.Total != n || s.Succeeded != n || s.Settled || s.Canary.State != control.CanaryWaiting {
				t.Errorf("%+v", s)
			}
			sum, _, err := w.enqueue(t.Context(), canaryGiveUp, BatchOptions{Canary: 3})
			var held *CanaryError
			if !errors.As(err, &held) || held.Canaries.Calls != 6 || held.Canaries.Succeeded != n || sum.Enqueued != 6-n {
				t.Errorf("%+v, %v", sum, err)
			}
			w.end(b.Client)
		}
	})
}

// The producer dies when the canaries have succeeded, before it notes that. The batch still
// holds, and the same command notices at once.
func TestProducerDiesBeforeTheRelease(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		w := newCanaryWorld(t, b)
		ctx, die := context.WithCancel(t.Context())
		b.Client.AddHook(onCommand{"released", die})
		_, err := w.p.EnqueueBatch(ctx, "b", callsOf(10), BatchOptions{Canary: 2, OnCanary: func(c Canaries) {
			if c.Open > 0 {
				w.attempt(canaryDone)
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if s := w.status(); s.Total != 2 || s.Succeeded != 2 || s.Settled || s.Canary.State != control.CanaryWaiting {
			t.Errorf("%+v", s)
		}
		sum, err := w.p.EnqueueBatch(t.Context(), "b", callsOf(10), BatchOptions{Canary: 2})
		if err != nil || sum.Enqueued != 8 || sum.Duplicates != 2 {
			t.Errorf("%+v, %v", sum, err)
		}
	})
}

// The producer dies when it has noted that, before or in the middle of the others. The same
// command adds what is missing, and waits for no canary any more.
func TestProducerDiesAfterTheRelease(t *testing.T) {
	t.Parallel()
	redistest.BothOwn(t, func(t *testing.T, b redistest.Backend) {
		for _, n := range []int{0, 12} {
			w := newCanaryWorld(t, b)
			pass := 0
			calls := func(yield func(Call, error) bool) {
				if pass++; pass == 1 {
					canaryRows(10)(yield)
				} else {
					dies(canaryRows(10), n)(yield)
				}
			}
			_, err := w.p.EnqueueBatch(t.Context(), "b", calls, BatchOptions{Canary: 1, OnReject: func(err error) error {
				if errors.Is(err, errDied) {
					return err
				}
				return nil
			}, OnCanary: func(c Canaries) {
				if c.Open > 0 {
					w.attempt(canaryDone)
				}
			}})
			if !errors.Is(err, errDied) {
				t.Fatal(err)
			}
			if s := w.status(); s.Canary.State != control.CanaryReleased || s.Total != max(2, n) {
				t.Errorf("after %d: %+v", n, s)
			}
			w.attempt(canaryGiveUp) // of the others
			sum, _, err := w.enqueue(t.Context(), canaryDone, BatchOptions{Canary: 1})
			if err != nil || sum.Enqueued != 20-max(2, n) {
				t.Errorf("after %d: %+v, %v", n, sum, err)
			}
			w.end(b.Client)
		}
	})
}

// A worker dies with the request of a canary: the producer waits, and goes on when another
// worker has made the call after the lease.
func TestWorkerDiesWithACanary(t *testing.T) {
	m := redistest.Mini(t)
	c := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	w := newCanaryWorld(t, redistest.Backend{Client: c})
	look := 0
	sum, err := w.p.EnqueueBatch(t.Context(), "b", callsOf(10), BatchOptions{Canary: 1, OnCanary: func(c Canaries) {
		switch look++; look {
		case 1: // it begins, and nothing more is heard of it
			w.begin()
		case 2:
			if w.attempt(canaryDone); c.Open != 1 || w.status().Total != 1 {
				t.Errorf("%+v, %+v", c, w.status())
			}
			ends := time.Now().Add(w.p.settings.Lease + time.Second)
			m.SetTime(ends)
			w.attempt(canaryDone) // it may live, and only have no Redis
			for looks := 1; looks <= 2; looks++ {
				m.SetTime(ends.Add(time.Duration(looks) * graceOf(w.p.settings.Lease) / 2))
				w.attempt(canaryDone)
			}
		}
	}})
	if err != nil || look != 3 || sum.Enqueued != 10 {
		t.Errorf("%+v, %v after %d looks", sum, err, look)
	}
	if s := w.status(); s.Succeeded != 1 || s.Canary.State != control.CanaryReleased {
		t.Errorf("%+v", s)
	}
}
