package engine

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

// A slot that the first step of a run reclaimed counts too, not only one of its last step.
func TestEveryReclaimedSlotCounts(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		reg := prometheus.NewRegistry()
		w := openWorld(t, b.URL, testKey(t), func(o *WorkerOptions) { o.Metrics = reg }).closing()
		id := w.append("tok", "a")
		w.append("tok", "b")
		lapsed := func(nonce string) {
			t.Helper()
			if err := b.Client.ZAdd(t.Context(), w.stack.prefix+":{"+id[:2]+"}:slots:"+id, redis.Z{Score: 1, Member: nonce}).Err(); err != nil {
				t.Fatal(err)
			}
		}
		lapsed("before the run")
		first := true
		w.vendor.before = func() {
			if first {
				lapsed("before its second call")
				first = false
			}
		}
		if err := w.runner.run(t.Context(), w.dispatch(id)); err != nil {
			t.Fatal(err)
		}
		if n := w.vendor.made.Load(); n != 2 {
			t.Fatalf("%d calls were made", n)
		}
		if n := gathered(t, reg)["habilita_slots_reclaimed_total"]; n != 2 {
			t.Errorf("%v slots were reclaimed, not 2", n)
		}
	})
}

// A Registerer is free again after a worker that could not be made, one that was closed, and one that
// ran. A second worker at the same time is refused, and leaves the first one's metrics alone.
func TestWorkersOfOneRegisterer(t *testing.T) {
	m := redistest.Mini(t)
	reg, key := prometheus.NewRegistry(), testKey(t)
	o := WorkerOptions{Options: Options{Keys: key}, RedisURL: "redis://" + m.Addr(), Metrics: reg, ShutdownTimeout: time.Second}
	broken := map[string]func(*WorkerOptions){
		"vendor's address": func(o *WorkerOptions) { o.WolkvoxURL = "no address" },
		"Redis' address":   func(o *WorkerOptions) { o.RedisURL = "no address" },
		"Redis away":       func(o *WorkerOptions) { o.RedisURL = "redis://127.0.0.1:1" },
		"sealing keys":     func(o *WorkerOptions) { o.Keys = "none" },
	}
	for name, change := range broken {
		other := o
		change(&other)
		if _, err := NewWorker(t.Context(), other); err == nil {
			t.Fatalf("%s: there is a worker", name)
		}
		if n := len(gathered(t, reg)); n != 0 {
			t.Errorf("%s: %d metrics are left", name, n)
		}
	}
	made := func() *Worker {
		t.Helper()
		w, err := NewWorker(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	first := made()
	if _, err := NewWorker(t.Context(), o); err == nil {
		t.Error("two workers have one Registerer")
	}
	if _, ok := gathered(t, reg)["habilita_worker_ready"]; !ok {
		t.Error("the first worker's metrics are gone")
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := made().Run(ended); err != nil {
		t.Error(err)
	}
	if err := made().Close(); err != nil {
		t.Error(err)
	}
}

// A worker that is closed twice removes only its own metrics, not those of a later worker with the same registry.
func TestClosedWorkerLeavesTheMetricsOfAnother(t *testing.T) {
	reg, m, key := prometheus.NewRegistry(), redistest.Mini(t), testKey(t)
	open := func() *world {
		return openWorld(t, "redis://"+m.Addr(), key, func(o *WorkerOptions) { o.Metrics = reg }).closing()
	}
	one := open()
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	open()
	_ = one.Close()
	if all, err := reg.Gather(); err != nil || len(all) == 0 {
		t.Errorf("%d metrics are left, %v", len(all), err)
	}
}
