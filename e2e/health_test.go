package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"habilita/internal/control"
	"habilita/internal/testkit/wolkvoxtest"
)

// serverState is a line of `enqueue servers --json`.
type serverState struct {
	Server, State      string
	Requests, Failures int
}

func serverOf(l *Lab, name string) serverState {
	l.TB.Helper()
	for _, s := range lines[serverState](l, l.MustEnqueue("servers", "--json")) {
		if s.Server == name {
			return s
		}
	}
	return serverState{}
}

// If a server of the vendor is down, its calls lose no attempts: it is asked a few times, then only
// gently. Calls for other servers go on, and its own calls go on soon after it comes back.
func TestServerThatIsDown(t *testing.T) {
	l := New(t)
	var down atomic.Bool
	down.Store(true)
	v := l.ServeVendor(wolkvoxtest.Options{Script: func(r wolkvoxtest.Record) wolkvoxtest.Fault {
		if down.Load() && r.Server == "0001" {
			return wolkvoxtest.Fault{Kind: wolkvoxtest.Status503}
		}
		return wolkvoxtest.Fault{}
	}})
	const workers, concurrency, chains = 2, 4, 40
	l.Set("MAX_ATTEMPTS", "3", "CONCURRENCY", fmt.Sprint(concurrency))
	bad, well := Plan{Batch: "down"}, Plan{Batch: "well"}
	for i := range chains {
		bad.Rows = append(bad.Rows, Row{Server: "0001", Token: fmt.Sprint("down-", i)}, Row{Server: "0001", Token: fmt.Sprint("down-", i)})
		well.Rows = append(well.Rows, Row{Server: "0002", Token: fmt.Sprint("well-", i)}, Row{Server: "0002", Token: fmt.Sprint("well-", i)})
	}
	all := l.Workers(workers)
	l.Bulk(bad)
	l.Bulk(well)
	l.AwaitStatus(well.Batch, "the other server's calls are done", 0, func(s control.Status) bool { return s.Succeeded == 2*chains })
	awaitReason(l, "server")
	// Wait for two probes: the second comes 2 s + 4 s after the server went down.
	l.Await("a second probe", 0, func(context.Context) (bool, string) {
		s := serverOf(l, "0001")
		return s.State == "open" && probes(l) >= 2, fmt.Sprint(s)
	})
	a := v.Account()
	asked := 0
	for _, r := range a.Records {
		if r.Server == "0001" {
			asked++
		}
	}
	// 5 failures in a row open the breaker; more requests are in flight then, or sent until both workers know.
	if most := 5 + 6*workers*concurrency; asked > most || asked < 5 {
		t.Errorf("%d requests to a server that is down, want 5 to %d", asked, most)
	}
	if st := l.Status(bad.Batch); st.Failed != 0 || st.Succeeded != 0 {
		t.Errorf("down: %+v", st)
	}
	if _, metrics := all[0].Get("/metrics"); !strings.Contains(metrics, `habilita_servers{state="closed"} 1`) {
		t.Error("the metrics do not tell of the servers")
	}
	down.Store(false)
	l.AwaitStatus(bad.Batch, "done after it came back", 0, func(s control.Status) bool { return s.Succeeded == 2*chains })
	if s := serverOf(l, "0001"); s.State != "closed" {
		t.Errorf("%+v", s)
	}
	l.MustKeep(Terms{}, bad, well)
	for _, r := range append(l.Report(bad.Batch), l.Report(well.Batch)...) {
		if r.Attempts > 3 {
			t.Errorf("%+v", r)
		}
	}
}

// probes returns how many probes of a server are under way or have failed. It tells from the distance
// to the next one.
func probes(l *Lab) int {
	var s struct{ Step float64 }
	text := l.Client().HGet(context.Background(), "habilita:{health}:servers", "0001").Val()
	if i := strings.Index(text, `"step":`); i >= 0 {
		_, _ = fmt.Sscan(strings.FieldsFunc(text[i+7:], func(r rune) bool { return r == ',' || r == '}' })[0], &s.Step)
	}
	n := 0
	for ; s.Step > 2000; s.Step /= 2 {
		n++
	}
	return n
}
