package hub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	fresh = time.Second
	share = 20
)

// counted is a topic that counts how often it is read.
func counted(key string, value *atomic.Int64, reads *atomic.Int64, takes time.Duration) Topic {
	return Topic{Key: key, Read: func(ctx context.Context) (any, error) {
		reads.Add(1)
		select {
		case <-time.After(takes):
			return value.Load(), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
}

func withHub(t *testing.T, do func(h *Hub)) {
	synctest.Test(t, func(t *testing.T) {
		do(New(time.Now, fresh, share))
	})
}

func TestManyWhoLookAreOneRead(t *testing.T) {
	withHub(t, func(h *Hub) {
		var value, reads atomic.Int64
		value.Store(7)
		tp := counted("a", &value, &reads, 100*time.Millisecond)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if r, err := h.get(context.Background(), tp, false); err != nil || r.value.(int64) != 7 {
					t.Errorf("%+v %v", r, err)
				}
			})
		}
		all.Wait()
		if reads.Load() != 1 {
			t.Errorf("%d reads", reads.Load())
		}
		time.Sleep(2 * fresh)
		if reads.Load() != 1 {
			t.Error("it is read though nobody looks")
		}
		value.Store(8)
		if r, _ := h.get(context.Background(), tp, false); r.value.(int64) != 8 {
			t.Errorf("a stale value %v", r.value)
		}
	})
}

func TestWhoGoesLeavesTheReadToOthers(t *testing.T) {
	withHub(t, func(h *Hub) {
		var value, reads atomic.Int64
		tp := counted("a", &value, &reads, time.Second)
		gone, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := h.get(gone, tp, false); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if _, err := h.get(context.Background(), tp, false); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		cancel()
		all.Wait()
		if reads.Load() != 2 {
			t.Errorf("%d reads", reads.Load())
		}
	})
}

// A read that panics is a fault of the program, which the HTTP server survives. Those who wait for it read for themselves.
func TestAReadThatPanicsIsNoneForOthers(t *testing.T) {
	withHub(t, func(h *Hub) {
		var value, reads atomic.Int64
		var all sync.WaitGroup
		all.Go(func() {
			defer func() { _ = recover() }()
			_, _ = h.get(context.Background(), Topic{Key: "a", Read: func(context.Context) (any, error) {
				time.Sleep(time.Second)
				panic("a fault")
			}}, false)
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if _, err := h.get(ctx, counted("a", &value, &reads, 0), false); err != nil || reads.Load() != 1 {
			t.Errorf("%v, %d reads", err, reads.Load())
		}
		all.Wait()
	})
}

// watching looks at topics as a listener does, until stop; changes counts the changes that it sees.
func watching(h *Hub, tp Topic) (changes *atomic.Int64, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	changes = &atomic.Int64{}
	var ended sync.WaitGroup
	ended.Go(func() {
		for last := h.State(ctx, []Topic{tp}); ctx.Err() == nil; time.Sleep(fresh / 4) {
			if state := h.State(ctx, []Topic{tp}); state != last {
				changes.Add(1)
				last = state
			}
		}
	})
	return changes, func() { cancel(); ended.Wait() }
}

func TestWatchersShareReadsAndAreToldOfChangesAlone(t *testing.T) {
	withHub(t, func(h *Hub) {
		var value, reads atomic.Int64
		tp := counted("a", &value, &reads, 0)
		var all []*atomic.Int64
		for range 10 {
			changes, stop := watching(h, tp)
			defer stop()
			all = append(all, changes)
		}
		time.Sleep(10 * fresh)
		if n := reads.Load(); n < 5 || n > 12 {
			t.Errorf("%d reads in 10 s", n)
		}
		for _, changes := range all {
			if changes.Load() != 0 {
				t.Error("told of no change")
			}
		}
		value.Store(1)
		time.Sleep(2 * fresh)
		for _, changes := range all {
			if changes.Load() != 1 {
				t.Error("not told of a change")
			}
		}
	})
}

func TestWhatTakesLongIsReadSeldom(t *testing.T) {
	withHub(t, func(h *Hub) {
		var value, reads atomic.Int64
		_, stop := watching(h, counted("slow", &value, &reads, 500*time.Millisecond))
		defer stop()
		time.Sleep(time.Minute)
		if n := reads.Load(); n < 5 || n > 7 { // 0.5 s of each 10 s
			t.Errorf("%d reads in a minute", n)
		}
	})
}

// The ranking of tokens takes long, so it is not made anew for everyone who looks at a page of them now and then.
func TestWhatTookLongIsKept(t *testing.T) {
	withHub(t, func(h *Hub) {
		var value, reads atomic.Int64
		look := func(want int64) {
			t.Helper()
			_, _ = h.get(context.Background(), Topic{Key: "other", Read: func(context.Context) (any, error) { return 1, nil }}, false)
			if _, err := h.get(context.Background(), counted("slow", &value, &reads, 500*time.Millisecond), true); err != nil || reads.Load() != want {
				t.Errorf("%d reads, %v: want %d", reads.Load(), err, want)
			}
		}
		look(1)
		time.Sleep(5 * time.Second)
		look(1)
		time.Sleep(5 * time.Second)
		look(2)
	})
}

// A thing that can't be read has a single state, and is soon read again although its read took long.
func TestWatchersSeeThatRedisIsAway(t *testing.T) {
	withHub(t, func(h *Hub) {
		var gone atomic.Bool
		gone.Store(true)
		changes, stop := watching(h, Topic{Key: "a", Read: func(context.Context) (any, error) {
			if gone.Load() {
				time.Sleep(Patience)
				return nil, errors.New("away")
			}
			return 1, nil
		}})
		defer stop()
		time.Sleep(3 * Patience)
		if n := changes.Load(); n != 0 {
			t.Errorf("%d changes", n)
		}
		gone.Store(false)
		time.Sleep(Patience + 3*fresh)
		if n := changes.Load(); n != 1 {
			t.Errorf("%d changes: it is back", n)
		}
	})
}

func TestReadingsAreBounded(t *testing.T) {
	withHub(t, func(h *Hub) {
		var value, reads atomic.Int64
		for i := range 3 * maxReadings {
			if _, err := h.get(context.Background(), counted(fmt.Sprint("x", i), &value, &reads, 0), false); err != nil {
				t.Fatal(err)
			}
		}
		if len(h.by) > maxReadings {
			t.Errorf("%d readings", len(h.by))
		}
		time.Sleep(2 * fresh)
		_, _ = h.get(context.Background(), counted("last", &value, &reads, 0), false)
		if len(h.by) != 1 {
			t.Errorf("%d readings are kept for nobody", len(h.by))
		}
	})
}

// A person who decided something sees what it did, even if a read was under way meanwhile.
func TestNothingOldIsShownAfterADecision(t *testing.T) {
	withHub(t, func(h *Hub) {
		var value, reads atomic.Int64
		tp := counted("a", &value, &reads, 100*time.Millisecond)
		want := func(n int64) {
			t.Helper()
			if r, err := h.get(context.Background(), tp, false); err != nil || r.value.(int64) != n {
				t.Errorf("%+v, %v: want %d", r, err, n)
			}
		}
		want(0)
		value.Store(1)
		want(0) // fresh enough
		h.Forget()
		want(1)
		time.Sleep(2 * fresh)
		old := Topic{Key: "a", Read: func(ctx context.Context) (any, error) {
			was := value.Load()
			time.Sleep(100 * time.Millisecond)
			return was, nil
		}}
		go func() { _, _ = h.get(context.Background(), old, false) }()
		synctest.Wait()
		value.Store(2)
		h.Forget()
		want(2)
	})
}
