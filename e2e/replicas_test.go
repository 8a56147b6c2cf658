package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
	"habilita/internal/testkit/wolkvoxtest"
)

// takeovers are primaries with two replicas. When the primary is gone, one replica takes over, and the other
// acknowledges its writes. A silent primary counts as dead after half a minute, and after a second once watch was
// called: so even on a slow machine only the test makes it die.
var takeovers = []struct {
	name  string
	start func(t *testing.T) (url string, dies *redistest.Server, replicas []*redistest.Server, watch func())
}{
	{"cluster", func(t *testing.T) (string, *redistest.Server, []*redistest.Server, func()) {
		url, nodes := redistest.StartCluster(t, 3)
		all := nodes
		for _, master := range []*redistest.Server{nodes[0], nodes[0], nodes[1], nodes[2]} {
			all = append(all, redistest.StartReplica(t, all, master))
		}
		patience := func(ms string) {
			for _, s := range all {
				if err := s.Client().ConfigSet(t.Context(), "cluster-node-timeout", ms).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
		patience("30000")
		return url, nodes[0], all[len(nodes) : len(nodes)+2], func() { patience("1000") }
	}},
	{"sentinel", func(t *testing.T) (string, *redistest.Server, []*redistest.Server, func()) {
		master, replicas := redistest.Start(t), []*redistest.Server{redistest.Start(t), redistest.Start(t)}
		for _, r := range replicas {
			r.Follow(master)
		}
		url, s := redistest.StartSentinel(t, master)
		patience := func(ms string) {
			if err := s.Client().Do(t.Context(), "sentinel", "set", "mymaster", "down-after-milliseconds", ms).Err(); err != nil {
				t.Fatal(err)
			}
		}
		patience("30000")
		return url, master, replicas, func() { patience("1000") }
	}},
}

// A replica that lacks the last writes takes over while calls run. With WAIT_REPLICAS=1 the order is kept and
// no result is lost: what the replica lacks had not counted yet.
func TestFailoverWithAcknowledgedWrites(t *testing.T) {
	for _, c := range takeovers {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url, dies, replicas, watch := c.start(t)
			sim := wolkvoxtest.Start(t, wolkvoxtest.Options{Latency: 100 * time.Millisecond})
			metrics := prom.NewRegistry()
			in := StartInside(t, url, sim.URL, engine.WorkerOptions{
				Options: engine.Options{WaitReplicas: 1}, Metrics: metrics, CallTimeout: 9 * time.Second, VendorTimeout: 9 * time.Second,
			})
			ctx, cancel := context.WithTimeout(t.Context(), 2*Patience)
			defer cancel()
			const tokens, each = 60, 30
			var chains [][]string
			for i := range tokens {
				token := fmt.Sprint("token-", i)
				var chain []string
				for n := range each {
					chain = append(chain, ledger.CallID(ledger.BatchID("b"), in.Producer.TokenID(engine.Token(token)), ledger.GivenKey(fmt.Sprint(i, ".", n))))
				}
				chains = append(chains, chain)
			}
			in.EnqueueAll(t, "b", tokens*each, func(n int) engine.Call {
				token := n % tokens
				return engine.Call{Server: "1", Token: engine.Token(fmt.Sprint("token-", token)), ID: fmt.Sprint(token, ".", n/tokens)}
			})
			if err := sim.Wait(ctx, func(a wolkvoxtest.Account) bool { return a.Totals.Successes > tokens }); err != nil {
				t.Fatal(err)
			}
			watch()
			// From now on no replica gets any write.
			for _, r := range replicas {
				r.Pause()
			}
			if err := dies.Client().ClientKillByFilter(ctx, "type", "replica").Err(); err != nil {
				t.Fatal(err)
			}
			Await(t, "a write waits for the replica", 0, func(context.Context) (bool, string) {
				return unacknowledged(t, metrics) > 0, "none does"
			})
			dies.Kill()
			for _, r := range replicas {
				r.Resume()
			}
			if err := sim.Wait(ctx, func(a wolkvoxtest.Account) bool { return a.Totals.Successes >= tokens*each }); err != nil {
				t.Fatalf("%v: %+v", err, sim.Account().Totals)
			}
			if s := in.Settled(t, "b"); s.Succeeded != tokens*each {
				t.Errorf("%+v", s)
			}
			a := sim.Account()
			if a.Totals.Requests != tokens*each || a.Totals.MaxInFlight > 2 {
				t.Errorf("%d requests for %d calls, at most %d in flight", a.Totals.Requests, tokens*each, a.Totals.MaxInFlight)
			}
			if v := a.OrderViolations(chains); len(v) > 0 {
				t.Errorf("%d out of order: %v", len(v), v[0])
			}
		})
	}
}

// unacknowledged returns how many writes a worker's replicas did not acknowledge in time.
func unacknowledged(t *testing.T, metrics *prom.Registry) float64 {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "habilita_unacknowledged_writes_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("there is no such metric")
	return 0
}
