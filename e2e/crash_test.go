package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/testkit/wolkvoxtest"
)

// Workers are killed by -9 in the middle of a run. After a restart all calls are done, and no more
// are made again than were in flight.
func TestKilledWorkers(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=30ms", "--jitter=20ms")
	p := Plan{Batch: "kill", Rows: Chained(3, Many(20, 40, good))}
	l.Bulk(p)
	workers := l.Workers(2, "CONCURRENCY", "16")
	lost := 0
	for i, w := range workers {
		l.Vendor.AwaitRequests(150*(i+1), 0)
		w.Kill()
		lost += l.Vendor.Account().Totals.InFlight + 1 // one may have been answered and not recorded
		l.StartWorker("CONCURRENCY", "16")
	}
	began := time.Now()
	st := l.AwaitSettled(p.Batch, 0)
	if st.Succeeded != len(p.Rows) {
		t.Errorf("%+v", st)
	}
	v := l.MustKeep(Terms{Lost: lost}, p)
	t.Logf("%d in flight at the kills, done %s after the last; %+v", lost, time.Since(began).Round(time.Millisecond), v)
	if v.Extra > lost {
		t.Errorf("%d extra requests, %d were in flight", v.Extra, lost)
	}
}

// A call whose worker died comes back once its lease has ended, not after asynq's two
// minutes. Tasks that the worker had fetched but not begun come back too.
func TestRecoveryTakesOneLease(t *testing.T) {
	l := New(t)
	v := l.ServeVendor(wolkvoxtest.Options{})
	v.Sim.Hold()
	p := Plan{Batch: "lease", Rows: Many(4, 1, good)}
	l.Bulk(p)
	w := l.Workers(1)[0]
	v.AwaitRequests(4, 0)
	w.Kill()
	began := time.Now()
	v.Sim.Release()
	l.Workers(1)
	l.AwaitSettled(p.Batch, 0)
	took := time.Since(began)
	t.Logf("recovered in %s; the lease is %s", took.Round(time.Millisecond), l.Lease())
	if took > l.Lease()+30*time.Second { // asynq alone would take 55 s at least, however slow the machine
		t.Errorf("recovered in %s, the lease is %s", took, l.Lease())
	}
	got := l.MustKeep(Terms{}, p)
	if got.Succeeded != 4 || got.Extra != 4 || got.Unknown != 4 {
		t.Errorf("%+v", got)
	}
}

// On SIGTERM under load a worker exits with 0 within the shutdown time, no request is made twice, and the
// other workers go on.
func TestTermUnderLoad(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=50ms", "--jitter=50ms")
	p := Plan{Batch: "term", Rows: Chained(3, Many(20, 36, good))}
	l.Bulk(p)
	workers := l.Workers(2, "CONCURRENCY", "16")
	for i := range 4 {
		l.Vendor.AwaitRequests(120*(i+1), 0)
		began := time.Now()
		w := workers[i]
		w.Term()
		if code := w.Wait(Patience); code != 0 {
			t.Errorf("exit %d", code)
		}
		t.Logf("ended after %s", time.Since(began).Round(time.Millisecond))
		workers = append(workers, l.StartWorker("CONCURRENCY", "16"))
	}
	if st := l.AwaitSettled(p.Batch, 0); st.Succeeded != len(p.Rows) {
		t.Errorf("%+v", st)
	}
	v := l.MustKeep(Terms{}, p)
	if v.Extra != 0 || v.Unknown != 0 || v.Requests != len(p.Rows) {
		t.Errorf("%+v", v)
	}
}

// On SIGTERM a worker gives back at once the calls that it has not sent, and waits for those in flight.
func TestTermWaitsForWhatIsInFlight(t *testing.T) {
	l := New(t)
	l.Set("CALL_TIMEOUT", "8s", "VENDOR_TIMEOUT", "8s")
	v := l.ServeVendor(wolkvoxtest.Options{})
	v.Sim.Hold()
	p := Plan{Batch: "inflight", Rows: Many(6, 2, good)}
	l.Bulk(p)
	first := l.Workers(1, "CONCURRENCY", "2")[0]
	v.AwaitRequests(2, 0)
	if status, body := first.Get("/readyz"); status != 200 {
		t.Errorf("readyz: %d %s", status, body)
	}
	first.Term()
	first.WaitLine("worker stops", Patience)
	if status, body := first.Get("/readyz"); status != 503 || !strings.Contains(body, "stopping") {
		t.Errorf("readyz of a worker that stops: %d %q", status, body)
	}
	if status, _ := first.Get("/healthz"); status != 200 {
		t.Errorf("healthz of a worker that stops: %d", status)
	}
	// Another worker takes at once the calls that the first had not begun.
	began := time.Now()
	l.Workers(1)
	v.AwaitRequests(6, 0)
	t.Logf("taken over after %s", time.Since(began).Round(time.Millisecond))
	if first.Ended() {
		t.Error("the first ended with requests in flight")
	}
	v.Sim.Release()
	if code := first.Wait(Patience); code != 0 {
		t.Errorf("exit %d", code)
	}
	l.AwaitSettled(p.Batch, 0)
	if got := l.MustKeep(Terms{}, p); got.Extra != 0 || got.Requests != 12 || got.Succeeded != 12 {
		t.Errorf("%+v", got)
	}
}

// Without Redis, commands and workers end, say so, and say what to do next.
func TestNoRedis(t *testing.T) {
	l := New(t)
	l.StartVendor()
	l.Redis.Kill()
	file := l.File("ops.csv", "server,token\n0001,t\n")
	for _, args := range [][]string{{"bulk", file}, {"status", "b"}, {"report", "b"}, {"chains"}, {"quota"}, {"retry", "--all"}} {
		r := l.Enqueue(args...)
		if r.Exit != 1 || !strings.Contains(r.Stderr, "start Redis") {
			t.Errorf("%s", r)
		}
	}
	w := l.StartWorker()
	if code := w.Wait(Patience); code != 1 || !strings.Contains(w.Log(), "start Redis") {
		t.Errorf("exit %d\n%s", code, w.Tail(5))
	}
	l.Redis.Restart()
	l.Redis.Pause() // a Redis that takes connections and does not answer
	defer l.Redis.Resume()
	r := l.Enqueue("status", "b")
	if r.Exit != 1 || !strings.Contains(r.Stderr, "does not answer") {
		t.Errorf("%s", r)
	}
	w = l.StartWorker()
	if code := w.Wait(Patience); code != 1 || !strings.Contains(w.Log(), "does not answer") {
		t.Errorf("exit %d\n%s", code, w.Tail(5))
	}
}

// Redis is killed by -9 under load and started again: the workers go on by themselves. They make
// no call while it is away nor, with everysec, for one lease after.
func TestRedisRestartsUnderLoad(t *testing.T) {
	for _, fsync := range []string{"everysec", "always"} {
		t.Run(fsync, func(t *testing.T) {
			l := New(t, "--appendfsync", fsync)
			l.StartVendor("--latency=30ms", "--jitter=20ms")
			p := Plan{Batch: "restart", Rows: Chained(3, Many(20, 90, good))} // far from finished when Redis is killed
			l.Bulk(p)
			workers := l.Workers(2, "CONCURRENCY", "16")
			l.Vendor.AwaitRequests(200, 0)
			l.Redis.Kill()
			l.Await("readyz says so", 0, func(_ context.Context) (bool, string) {
				status, body := workers[0].Get("/readyz")
				return status == 503 && strings.Contains(body, "Redis"), body
			})
			if status, _ := workers[0].Get("/healthz"); status != 200 {
				t.Errorf("healthz: %d", status)
			}
			l.Vendor.Await("all in flight ended", 0, func(a wolkvoxtest.Account) bool { return a.Totals.InFlight == 0 })
			quiet := l.Vendor.Account().Totals.Requests
			away := time.Now() // still: with "always", requests come as soon as Redis answers
			l.Redis.Restart()
			back := time.Now()
			l.Vendor.AwaitRequests(quiet+1, 0)
			next := l.Vendor.Account().Records[quiet].Arrived
			if next.Before(away) {
				t.Errorf("a request %s before Redis was started", away.Sub(next))
			}
			first := next.Sub(back)
			st := l.AwaitSettled(p.Batch, 0)
			if st.Succeeded != len(p.Rows) {
				t.Errorf("%+v", st)
			}
			v := l.MustKeep(Terms{Unsent: 64}, p)
			t.Logf("first request %s after Redis was back (lease %s), all done after %s; %+v", first.Round(time.Millisecond), l.Lease(), time.Since(back).Round(time.Millisecond), v)
			if fsync == "everysec" && first < l.Lease()-200*time.Millisecond {
				t.Errorf("the first request came %s after the restart, within the lease", first)
			}
			if first > l.Lease()+30*time.Second {
				t.Errorf("the first request came %s after the restart", first)
			}
			if v.Extra > 0 {
				t.Errorf("extra requests, and no outcome was unknown: %+v", v)
			}
			// A worker asks Redis only once a second, so it may still say what it knew before.
			l.Await("the worker is ready", 0, func(context.Context) (bool, string) {
				status, body := workers[0].Get("/readyz")
				return status == 200, fmt.Sprint(status, body)
			})
		})
	}
}

// Health, readiness and metrics of a worker.
func TestPages(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=0")
	p := Plan{Batch: "pages", Rows: Many(5, 2, good)}
	l.Bulk(p)
	w := l.Workers(1)[0]
	l.AwaitStatus(p.Batch, "done", 0, func(s control.Status) bool { return s.Succeeded == 10 })
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "go_goroutines"} {
		if status, body := w.Get(path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s", path, status, body)
		}
	}
	if status, _ := w.Get("/nothing"); status != 404 {
		t.Errorf("/nothing: %d", status)
	}
	metrics := ""
	l.Await("the first reconciliation", 0, func(context.Context) (bool, string) {
		_, metrics = w.Get("/metrics")
		return strings.Contains(metrics, "habilita_chains{"), metrics
	})
	for _, want := range []string{
		"habilita_workers 1", "habilita_worker_ready 1", "habilita_oldest_waiting_seconds ", `habilita_limit_refusals_total{limit="slots"} 0`,
		`habilita_calls_total{outcome="succeeded"} 10`, "habilita_call_seconds_count 10", "habilita_handoff_seconds_bucket",
		`habilita_deferrals_total{`, `habilita_chains{state="held"}`, "habilita_slots_held 0", "habilita_slots_reclaimed_total", "habilita_quota_used_ratio",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	l.Redis.Pause()
	// The worker asks Redis at most once a second.
	l.Await("not ready while Redis stands still", 10*time.Second, func(_ context.Context) (bool, string) {
		began := time.Now()
		status, body := w.Get("/readyz")
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("readyz while Redis stands still: after %s", took)
		}
		return status == 503 && strings.Contains(body, "does not answer"), body
	})
	l.Redis.Resume()
	l.Await("ready again", 0, func(_ context.Context) (bool, string) {
		status, body := w.Get("/readyz")
		return status == 200, body
	})
}
