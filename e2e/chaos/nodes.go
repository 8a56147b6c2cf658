package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"habilita/e2e"
	"habilita/internal/testkit/redistest"
)

// topology is a Redis of several nodes: a primary with two replicas, and a way to make one of them take over.
type topology struct {
	name  string
	start func(tb testingTB) (url string, primary *redistest.Server, replicas []*redistest.Server, failover func() error)
}

var topologies = []topology{
	{"cluster", func(tb testingTB) (string, *redistest.Server, []*redistest.Server, func() error) {
		url, nodes := redistest.StartCluster(tb, 3)
		all := nodes
		for _, master := range []*redistest.Server{nodes[0], nodes[0], nodes[1], nodes[2]} {
			all = append(all, redistest.StartReplica(tb, all, master))
		}
		replicas := all[len(nodes) : len(nodes)+2]
		return url, nodes[0], replicas, func() error { return replicas[0].Client().ClusterFailover(tb.Context()).Err() }
	}},
	{"Sentinel", func(tb testingTB) (string, *redistest.Server, []*redistest.Server, func() error) {
		primary, replicas := redistest.Start(tb), []*redistest.Server{redistest.Start(tb), redistest.Start(tb)}
		for _, r := range replicas {
			r.Follow(primary)
		}
		url, sentinel := redistest.StartSentinel(tb, primary)
		return url, primary, replicas, func() error {
			return sentinel.Client().Do(tb.Context(), "sentinel", "failover", "mymaster").Err()
		}
	}},
}

// nodeRows are for a node that goes while another takes over, with and without WAIT_REPLICAS.
func nodeRows(of func(whole, ci int) int) []row {
	faults := []struct {
		name string
		ci   int
		do   func(primary *redistest.Server, failover func() error) error
	}{
		{"kill -9 of a primary", 1, func(primary *redistest.Server, _ func() error) error { primary.Kill(); return nil }},
		{"a primary hangs (SIGSTOP)", 0, func(primary *redistest.Server, _ func() error) error { primary.Pause(); return nil }},
		{"planned failover", 0, func(_ *redistest.Server, failover func() error) error { return failover() }},
	}
	var rows []row
	for _, t := range topologies {
		for _, f := range faults {
			for _, wait := range []string{"1", "0"} {
				n := of(5, 0)
				if wait == "1" {
					n = of(5, f.ci)
				}
				rows = append(rows, row{
					name: fmt.Sprintf("%s: %s, WAIT_REPLICAS=%s", t.name, f.name, wait), dose: fmt.Sprint(n, " times"), took: 40 * second,
					units:    shared(n, 1, func(u *unit, _ int) { takeOver(u, t, wait, f.do) }),
					recovery: "another node is primary until the next request",
				})
			}
		}
	}
	return rows
}

// takeOver makes another node take over under load.
func takeOver(u *unit, t topology, wait string, fault func(primary *redistest.Server, failover func() error) error) {
	w := newWorld(u, nil)
	url, primary, replicas, failover := t.start(u)
	w.l.Use(url)
	// The lease is 10 s: the new primary gets all outcomes before the lease and the grace after it have ended.
	w.l.Set("WAIT_REPLICAS", wait, "CALL_TIMEOUT", "8s", "VENDOR_TIMEOUT", "9s", "SHUTDOWN_TIMEOUT", "20s")
	w.topUp()
	w.l.Workers(3)
	w.underLoad()
	pause(u.between(100*time.Millisecond, second))
	for _, r := range replicas {
		r.CatchUp(primary) // so that even on a slow machine a replica lacks only the last moment
	}
	from := time.Now()
	err := fault(primary, failover)
	w.must(err == nil, "%v", err)
	promoted := w.awaitPrimary(replicas)
	if wait == "0" {
		// Calls whose results the replica lacks are made again.
		w.terms.LostWrites = true
		w.unrecorded(from.Add(-second), promoted.Add(5*second))
		w.awaitDemotion(primary) // until then Sentinel names it, and the writes that it takes are lost
	}
	w.topUp()
	if wait == "0" {
		w.enqueueAgain()
	}
	w.settle()
	u.sum.recovery = firstAfter(w.l.Vendor.Account(), []time.Time{promoted})
	v := w.judge(false)
	if wait == "0" {
		u.sum.note("%d of %d calls were made twice", v.Extra, v.Calls)
	}
	primary.Kill()
}

// awaitPrimary waits until one of the replicas is a primary, and returns the time at which it saw that.
func (w *world) awaitPrimary(replicas []*redistest.Server) (at time.Time) {
	w.Helper()
	for end := time.Now().Add(e2e.Patience); time.Now().Before(end); pause(5 * time.Millisecond) {
		for _, r := range replicas {
			info, err := r.Client().Info(w.Context(), "replication").Result()
			if err == nil && strings.Contains(info, "role:master") {
				return time.Now()
			}
		}
	}
	w.Fatal("no replica takes over")
	return at
}

// awaitDemotion waits until a former primary, if it lives, follows another node.
func (w *world) awaitDemotion(primary *redistest.Server) {
	w.Helper()
	rdb := primary.Client()
	w.l.Await("the former primary follows", longWait, func(ctx context.Context) (bool, string) {
		info, err := rdb.Info(ctx, "replication").Result()
		return err != nil || strings.Contains(info, "role:slave"), info
	})
}
