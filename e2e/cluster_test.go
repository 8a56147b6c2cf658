package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/testkit/redistest"
	"habilita/internal/testkit/wolkvoxtest"
)

// The same code runs on a Redis Cluster: no script touches two hash tags.
func TestRedisCluster(t *testing.T) {
	url, _ := redistest.StartCluster(t, 3)
	worksOn(t, url)
}

func TestRedisSentinel(t *testing.T) {
	url, _ := redistest.StartSentinel(t, redistest.Start(t))
	worksOn(t, url)
}

// worksOn makes calls of every kind through a Redis of any topology.
func worksOn(t *testing.T, url string) {
	t.Helper()
	passing := wolkvoxtest.Random(7, 0.1, wolkvoxtest.Fault{Kind: wolkvoxtest.Status500}, wolkvoxtest.Fault{Kind: wolkvoxtest.ResetBefore})
	sim := wolkvoxtest.Start(t, wolkvoxtest.Options{Latency: time.Millisecond, Script: passing})
	in := StartInside(t, url, sim.URL, engine.WorkerOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	const tokens, each = 60, 5
	in.EnqueueAll(t, "b", tokens*each, func(i int) engine.Call {
		return engine.Call{Server: "1", Token: engine.Token(fmt.Sprintf("token-%d", i%tokens)), ID: fmt.Sprintf("id-%d", i)}
	})
	if _, err := in.Producer.Enqueue(ctx, engine.Call{Server: "1", Token: "token-0", Ref: "single"}); err != nil {
		t.Fatal(err)
	}
	if err := sim.Wait(ctx, func(a wolkvoxtest.Account) bool { return a.Totals.Successes == tokens*each+1 }); err != nil {
		t.Fatal(err)
	}
	s, err := in.Operator.WaitSettled(ctx, "b", 0)
	if err != nil || s.Succeeded != tokens*each || s.Open != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if found, err := in.Operator.Show(ctx, "id-42"); err != nil || len(found) != 1 || found[0].State != "succeeded" {
		t.Errorf("%+v, %v", found, err)
	}
	if n, err := in.Operator.Cancel(ctx, control.Selection{All: true}); err != nil || n != 0 {
		t.Errorf("cancelled %d, %v", n, err)
	}
	if a := sim.Account(); a.Totals.MaxInFlight > 2 || len(a.DuplicateSuccesses()) > 0 {
		t.Errorf("at most %d in flight, %d duplicates", a.Totals.MaxInFlight, len(a.DuplicateSuccesses()))
	}
}
