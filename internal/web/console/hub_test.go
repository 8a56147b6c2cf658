package console

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

// counted is a topic that counts how often it is read.
func counted(key string, value *atomic.Int64, reads *atomic.Int64, takes time.Duration) topic {
	return topic{key, func(ctx context.Context) (any, error) {
		reads.Add(1)
		select {
		case <-time.After(takes):
			return value.Load(), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
}

func withHub(t *testing.T, do func(h *hub)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(time.Now)
		h.start()
		do(h)
		h.close()
	})
}

func TestManyWhoLookAreOneRead(t *testing.T) {
	withHub(t, func(h *hub) {
		var value, reads atomic.Int64
		value.Store(7)
		tp := counted("a", &value, &reads, 100*time.Millisecond)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if v, err := h.get(context.Background(), tp); err != nil || v.(int64) != 7 {
					t.Errorf("%v %v", v, err)
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
		if v, _ := h.get(context.Background(), tp); v.(int64) != 8 {
			t.Errorf("a stale value %v", v)
		}
	})
}

func TestWhoGoesLeavesTheReadToOthers(t *testing.T) {
	withHub(t, func(h *hub) {
		var value, reads atomic.Int64
		tp := counted("a", &value, &reads, time.Second)
		gone, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := h.get(gone, tp); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if _, err := h.get(context.Background(), tp); err != nil {
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

func TestWatchersShareOnePollerAndAreToldOfChangesAlone(t *testing.T) {
	withHub(t, func(h *hub) {
		var value, reads atomic.Int64
		tp := counted("a", &value, &reads, 0)
		var watchers []*watcher
		for range 10 {
			w, end, err := h.watch([]topic{tp})
			if err != nil {
				t.Fatal(err)
			}
			defer end()
			watchers = append(watchers, w)
		}
		time.Sleep(10 * fresh)
		if n := reads.Load(); n < 5 || n > 12 {
			t.Errorf("%d reads in 10 s", n)
		}
		for _, w := range watchers {
			if len(w.changed) != 0 {
				t.Error("told of no change")
			}
		}
		value.Store(1)
		time.Sleep(2 * fresh)
		for _, w := range watchers {
			if len(w.changed) != 1 {
				t.Error("not told of a change")
			}
		}
	})
}

func TestWhatTakesLongIsReadSeldom(t *testing.T) {
	withHub(t, func(h *hub) {
		var value, reads atomic.Int64
		_, end, err := h.watch([]topic{counted("slow", &value, &reads, 500*time.Millisecond)})
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		time.Sleep(time.Minute)
		if n := reads.Load(); n < 5 || n > 7 { // 0.5 s of each 10 s
			t.Errorf("%d reads in a minute", n)
		}
	})
}

func TestListenersAndReadingsAreBounded(t *testing.T) {
	withHub(t, func(h *hub) {
		var value, reads atomic.Int64
		var ends []func()
		for i := range maxWatchers {
			_, end, err := h.watch([]topic{counted(fmt.Sprint(i), &value, &reads, 0)})
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, end)
		}
		if _, _, err := h.watch(nil); !errors.Is(err, errBusy) {
			t.Errorf("one too many: %v", err)
		}
		ends[0]()
		_, end, err := h.watch(nil)
		if err != nil {
			t.Errorf("one has gone: %v", err)
		}
		end()
		for i := range 3 * maxReadings {
			if _, err := h.get(context.Background(), counted(fmt.Sprint("x", i), &value, &reads, 0)); err != nil {
				t.Fatal(err)
			}
		}
		h.mu.Lock()
		if len(h.readings) > maxReadings {
			t.Errorf("%d readings", len(h.readings))
		}
		h.mu.Unlock()
		for _, end := range ends[1:] {
			end()
		}
		time.Sleep(2 * idle)
		if _, end, err := h.watch(nil); err == nil { // wakes the poller, which forgets
			synctest.Wait()
			end()
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.readings) != 0 {
			t.Errorf("%d readings are kept for nobody", len(h.readings))
		}
	})
}

func TestRates(t *testing.T) {
	r := newRates()
	at := time.Unix(1_800_000_000, 0)
	if _, known := r.note("b", 10, at); known {
		t.Error("known at first sight")
	}
	if n, known := r.note("b", 10, at.Add(fresh/4)); known {
		t.Errorf("%v is known when two pages look at once", n)
	}
	for i := 1; i <= 60; i++ {
		n, known := r.note("b", 10+5*i, at.Add(time.Duration(i)*time.Second))
		if !known || n != 5 {
			t.Fatalf("after %d s: %v %t", i, n, known)
		}
	}
	later := at.Add(90 * time.Second)
	for i := range 15 {
		r.note("b", 310, later.Add(time.Duration(i)*time.Second))
	}
	if n, _ := r.note("b", 310, later.Add(15*time.Second)); n != 0 {
		t.Errorf("it stands still: %v", n)
	}
	r.note("c", 1, later.Add(time.Hour))
	if len(r.seen) != 1 {
		t.Error("what nobody looks at is kept")
	}
}

// Who decided something sees what came of it, also where a read was under way meanwhile.
func TestNothingOldIsShownAfterADecision(t *testing.T) {
	withHub(t, func(h *hub) {
		var value, reads atomic.Int64
		tp := counted("a", &value, &reads, 100*time.Millisecond)
		want := func(n int64) {
			t.Helper()
			if v, err := h.get(context.Background(), tp); err != nil || v.(int64) != n {
				t.Errorf("%v, %v: want %d", v, err, n)
			}
		}
		want(0)
		value.Store(1)
		want(0) // fresh enough
		h.decided()
		want(1)
		time.Sleep(2 * fresh)
		old := topic{"a", func(ctx context.Context) (any, error) {
			was := value.Load()
			time.Sleep(100 * time.Millisecond)
			return was, nil
		}}
		h.mu.Lock()
		h.readings["a"].topic = old
		h.mu.Unlock()
		go func() { _, _ = h.get(context.Background(), tp) }()
		synctest.Wait()
		value.Store(2)
		h.decided()
		want(2)
	})
}
