package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"habilita/internal/membership"
	"habilita/internal/testkit/redistest"
)

// All processes that grant agree on every setting that decides what may be granted. One that
// differs refuses to start, names the setting, and starts when nobody uses the other value.
func TestSharedSettings(t *testing.T) {
	for name, change := range map[string]func(*WorkerOptions){
		"TOKEN_SLOTS":      func(o *WorkerOptions) { o.Quota.Slots = 1 },
		"CALL_TIMEOUT":     func(o *WorkerOptions) { o.CallTimeout = 30 * time.Second },
		"VENDOR_TIMEOUT":   func(o *WorkerOptions) { o.VendorTimeout = 90 * time.Second },
		"SLOT_MARGIN":      func(o *WorkerOptions) { o.SlotMargin = 7 * time.Second },
		"QUOTA_TIMEZONE":   func(o *WorkerOptions) { o.Quota.Location = time.FixedZone("elsewhere", 0) },
		"DEFAULT_LICENSES": func(o *WorkerOptions) { o.Quota.DefaultLicenses = 5 },
		"QUOTA_GUARD":      func(o *WorkerOptions) { o.Quota.Guard = 2 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			m := redistest.Mini(t)
			w := openWorld(t, "redis://"+m.Addr(), testKey(t), nil)
			own := w.o
			own.Metrics = nil // a registry takes the metrics of one worker
			other := own
			change(&other)
			refused := func(err error) {
				t.Helper()
				var e *membership.MismatchError
				if !errors.As(err, &e) || len(e.Differences) != 1 || e.Differences[0].Name != name {
					t.Errorf("%v, want a disagreement about %s", err, name)
				}
			}
			_, err := NewWorker(t.Context(), other)
			refused(err)
			_, err = OpenQuotaSync(t.Context(), other)
			refused(err)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			q, err := OpenQuotaSync(t.Context(), other)
			if err != nil {
				t.Fatal(err)
			}
			_, err = NewWorker(t.Context(), own)
			refused(err)
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A worker that drains stays a member until its last request has ended.
func TestDrainingWorkerStaysAMember(t *testing.T) {
	t.Parallel()
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), func(o *WorkerOptions) { o.ShutdownTimeout = time.Minute })
	answer := make(chan struct{})
	sent := make(chan struct{}, 1)
	w.vendor.before = func() {
		sent <- struct{}{}
		<-answer
	}
	w.append("token-1", "a")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	<-sent
	stop()
	rdb := clientOf(t, m)
	registry := membership.New(rdb, "habilita")
	// Its membership lapses, as it does 20 s after its last beat.
	const alive = "habilita:{agreement}:alive"
	if err := rdb.Del(t.Context(), alive).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(soon); ; {
		all, err := registry.Alive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a worker with a request in flight is no member any more")
		}
		wait(t.Context(), 20*time.Millisecond)
	}
	close(answer)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if all, err := registry.Alive(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("members after its end: %v, %v", fmt.Sprint(all), err)
	}
}

// A worker that ends before one of its runs does not leave the membership.
func TestWorkerWithARunThatDoesNotEndDoesNotLeave(t *testing.T) {
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), nil)
	w.runner.active.Add(1)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if all, err := membership.New(clientOf(t, m), "habilita").Alive(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("members: %v, %v", all, err)
	}
}

func clientOf(t *testing.T, m *miniredis.Miniredis) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	return c
}
