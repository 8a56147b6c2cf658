package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"habilita/e2e"
	"habilita/internal/testkit/redistest"
	"habilita/internal/testkit/wolkvoxtest"
)

// refuseRows are for a Redis that takes no writes, or is away for longer than asynq's leases. In others a
// replica takes over while no worker runs, or Redis hides what a worker has to know.
func refuseRows(of func(whole, ci int) int) []row {
	return []row{
		{
			name: "Redis refuses writes for longer than a lease", dose: fmt.Sprint(of(10, 1), " times"), took: 30 * second,
			units:    shared(of(10, 1), 5, refuseWrites),
			recovery: "Redis takes writes until the next request",
		},
		{
			name: "Redis away under long calls, then SIGTERM", dose: fmt.Sprint(of(3, 1), " times, CONCURRENCY 8, ", of(35, 3), " s"), took: 100 * second,
			units: shared(of(3, 1), 1, awayUnderLongCalls),
		},
		{
			name: "replica without the last second takes over while no worker runs", dose: fmt.Sprint(of(5, 1), " times"), took: 20 * second,
			units:    shared(of(5, 1), 1, takeOverWithNobody),
			recovery: "the worker starts until the next request",
		},
		{
			name: "INFO or CONFIG renamed away", dose: fmt.Sprint(of(3, 1), " times each"), took: 20 * second,
			units: shared(of(3, 1), 1, renamedAway),
		},
	}
}

// refuseWrites makes Redis refuse every write, but answer all else, for longer than a lease. The
// workers keep the answers that come meanwhile: no call is made again.
func refuseWrites(u *unit, n int) {
	w := newWorld(u, nil)
	w.topUp()
	w.l.Workers(3)
	takes := func(least string) {
		err := w.l.Client().ConfigSet(u.Context(), "min-replicas-to-write", least).Err()
		w.must(err == nil, "%v", err)
	}
	var backs []time.Time
	for range n {
		w.topUp()
		w.underLoad()
		takes("1")
		pause(w.l.Lease() + u.between(second, 3*second))
		takes("0")
		backs = append(backs, time.Now())
	}
	w.settle()
	u.sum.recovery = firstAfter(w.l.Vendor.Account(), backs)
	if v := w.judge(false); v.Requests != v.Calls {
		w.violation("I5", "%d requests for %d calls, and every answer was kept", v.Requests, v.Calls)
	}
}

// awayUnderLongCalls stops Redis for longer than asynq's lease of 30 s (less in the small dose), while
// calls are at the vendor for even longer. Then asynq thinks that their places are free, but the
// worker must not; and on SIGTERM it must wait for all of them.
func awayUnderLongCalls(u *unit, _ int) {
	const places = 8
	away, call := 3*second, 6*second
	if u.full {
		away, call = 35*second, 45*second
	}
	w := newWorld(u, nil, fmt.Sprint("--latency=", call))
	w.l.Set("CONCURRENCY", fmt.Sprint(places), "CALL_TIMEOUT", "60s", "VENDOR_TIMEOUT", "60s", "SHUTDOWN_TIMEOUT", "60s")
	w.chains = 1
	w.l.Bulk(w.plan(2*places, 1))
	worker := w.l.Workers(1)[0]
	inFlight := func(n int) func(wolkvoxtest.Account) bool {
		return func(a wolkvoxtest.Account) bool { return a.Totals.InFlight == n }
	}
	w.l.Vendor.Await("all places are taken", longWait, inFlight(places))
	w.l.Redis.Pause()
	pause(away)
	w.l.Redis.Resume()
	pause((call - away) / 2) // time to take more calls than it may
	worker.Term()
	code := worker.Wait(longWait)
	a := w.l.Vendor.Account()
	if code != 0 || a.Totals.InFlight != 0 {
		w.violation("I4", "the worker ended with %d, and left %d requests at the vendor", code, a.Totals.InFlight)
	}
	w.l.Workers(1)
	w.settle()
	if most := w.l.Vendor.Account().Totals.MaxInFlight; most > places {
		w.violation("I2", "%d requests in flight, %d allowed", most, places)
	}
	if v := w.judge(false); v.Requests != v.Calls {
		w.violation("I5", "%d requests for %d calls, and the shutdown waits for all", v.Requests, v.Calls)
	}
}

// takeOverWithNobody kills the worker and Redis, and goes on with a replica that lacks the writes of
// the last second, with grants among them.
func takeOverWithNobody(u *unit, _ int) {
	w := newWorld(u, nil)
	w.each = 120
	w.topUp()
	host, port, err := net.SplitHostPort(w.l.Redis.Addr)
	w.must(err == nil, "%v", err)
	replica := redistest.Start(u.TB, "--replicaof", host+" "+port)
	worker := w.l.Workers(1)[0]
	w.terms.LostWrites = true
	w.underLoad()
	w.l.Await("the replica follows", longWait, func(ctx context.Context) (bool, string) {
		info, err := replica.Client().Info(ctx, "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up"), info
	})
	replica.Pause()
	from := time.Now()
	pause(second)
	w.underLoad()
	worker.Kill()
	w.l.Redis.Kill()
	killed := time.Now()
	w.terms.Unsent += 24
	replica.Resume()
	err = replica.Client().ReplicaOf(u.Context(), "NO", "ONE").Err()
	w.must(err == nil, "%v", err)
	w.l.TakeOver(replica)
	started := time.Now()
	w.l.Workers(1)
	w.unrecorded(from.Add(-justBefore), time.Now().Add(justBefore))
	w.enqueueAll()
	w.settle()
	u.sum.recovery = firstAfter(w.l.Vendor.Account(), []time.Time{started})
	w.judge(false)
	w.heldBack([]time.Time{killed}, []time.Time{started})
}

// renamedAway hides commands that a worker needs. Without INFO it refuses to start, and names INFO. Without
// CONFIG it warns, and after a restart of Redis it grants nothing for one lease.
func renamedAway(u *unit, _ int) {
	blind := e2e.New(u.TB, "--rename-command", "INFO", "HIDDEN_INFO")
	blind.StartVendor()
	worker := blind.StartWorker()
	if code := worker.Wait(longWait); code != 1 || !strings.Contains(worker.Log(), "INFO can't be read") {
		u.Logf("I1: a worker that can't read INFO ended with %d: %s", code, worker.Tail(5))
		u.sum.breaks("I1", 1)
	}
	w := newWorld(u, []string{"--rename-command", "CONFIG", "HIDDEN_CONFIG", "--appendfsync", "always"})
	w.topUp()
	warned := w.l.Workers(1)[0]
	if !strings.Contains(warned.Log(), "CONFIG GET can't be read") {
		w.violation("I1", "no warning of CONFIG: %s", warned.Tail(5))
	}
	w.underLoad()
	killed := time.Now()
	w.l.Redis.Kill()
	w.l.Redis.Restart()
	back := time.Now()
	w.answersWhileAway(killed, back)
	w.settle()
	w.judge(false)
	w.heldBack([]time.Time{killed}, []time.Time{back})
}
