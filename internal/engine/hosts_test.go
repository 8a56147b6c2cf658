package engine

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"habilita/internal/breaker"
	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
	"habilita/internal/testkit/wolkvoxtest"
)

// mostAtServer is the greatest number of requests that the vendor saw in flight at each server.
func mostAtServer(a wolkvoxtest.Account) map[string]int {
	type event struct {
		seq    int64
		server string
		by     int
	}
	var all []event
	for _, r := range a.Records {
		all = append(all, event{r.Seq, r.Server, 1})
		if r.EndSeq > 0 {
			all = append(all, event{r.EndSeq, r.Server, -1})
		}
	}
	slices.SortFunc(all, func(a, b event) int { return cmp.Compare(a.seq, b.seq) })
	now, most := map[string]int{}, map[string]int{}
	for _, e := range all {
		now[e.server] += e.by
		most[e.server] = max(most[e.server], now[e.server])
	}
	return most
}

// simulated is a vendor, and a worker that calls it.
func simulated(t *testing.T, vendor wolkvoxtest.Options, change func(*WorkerOptions)) (*wolkvoxtest.Server, *world) {
	t.Helper()
	v, err := wolkvoxtest.Listen("127.0.0.1:0", vendor)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	w := openWorld(t, redistest.Shared(t).URL, testKey(t), func(o *WorkerOptions) {
		o.WolkvoxURL = v.URL
		change(o)
	})
	w.runner.vendor = w.Worker.vendor
	return v, w
}

// enqueue makes chains at a server, with each calls in every one.
func (w *world) enqueue(server string, chains, each int) {
	w.t.Helper()
	p, err := NewProducer(w.t.Context(), w.stack.rdb, w.o.Options)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range chains {
		for range each {
			if _, err := p.Enqueue(w.t.Context(), Call{Server: server, Token: Token(fmt.Sprintf("token-%s-%d", server, i))}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// answered waits until the vendor has answered n requests at a server.
func answered(t *testing.T, v *wolkvoxtest.Server, server string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*soon)
	defer cancel()
	err := v.Wait(ctx, func(a wolkvoxtest.Account) bool {
		done := 0
		for _, r := range a.Records {
			if r.Server == server && r.EndSeq > 0 && r.Success {
				done++
			}
		}
		return done >= n
	})
	if err != nil {
		t.Fatalf("server %s has not answered %d requests: %v", server, n, err)
	}
}

// By the vendor's account, a worker never has more requests at one server than SERVER_CONCURRENCY.
// It makes every call once, whether its own places or those at the servers are scarce.
func TestServerConcurrency(t *testing.T) {
	const most, chains, each = 3, 12, 3
	for name, concurrency := range map[string]int{"many places": 64, "few places": 4, "one place": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, w := simulated(t, wolkvoxtest.Options{Latency: 5 * time.Millisecond}, func(o *WorkerOptions) {
				o.Concurrency, o.ServerConcurrency = concurrency, most
			})
			w.begin()
			servers := []string{"0001", "0002", "0003"}
			for _, s := range servers {
				w.enqueue(s, chains, each)
			}
			for _, s := range servers {
				answered(t, v, s, chains*each)
			}
			a := v.Account()
			for s, n := range mostAtServer(a) {
				if n > most {
					t.Errorf("%d requests were in flight at server %s, want %d at most", n, s, most)
				}
			}
			if n := len(servers) * chains * each; a.Totals.Requests != n || a.Totals.OverSlots > 0 {
				t.Errorf("the vendor saw %+v, want %d requests", a.Totals, n)
			}
		})
	}
}

// Chains that wait for a place at a server that does not answer hold no slot and no place of the
// worker, so chains of other servers go on. As soon as the server answers, those that waited go on too.
func TestServerThatStopsAnsweringSlowsNoOther(t *testing.T) {
	const most, chains = 4, 20
	v, w := simulated(t, wolkvoxtest.Options{}, func(o *WorkerOptions) { o.Concurrency, o.ServerConcurrency = most+2, most })
	v.HoldIf(func(r wolkvoxtest.Record) bool { return r.Server == "0001" })
	w.begin()
	w.enqueue("0001", chains, 1)
	until(t, "all places at the server taken, and the others waiting for one", func() bool {
		waiting := 0
		for c, err := range w.stack.ledger.Chains(t.Context(), ledger.AllTags(), false) {
			if err != nil {
				t.Fatal(err)
			}
			if c.State == "waiting" && c.Reason == ledger.ServerBusy {
				waiting++
			}
		}
		return v.Held() == most && waiting == chains-most
	})
	until(t, "no more places of the worker taken than at the server", func() bool { return w.runner.active.Load() == most })
	w.enqueue("0002", chains, 3)
	answered(t, v, "0002", 3*chains)
	if n := v.Held(); n != most {
		t.Errorf("%d requests are at the server that does not answer, want %d", n, most)
	}
	v.Release()
	answered(t, v, "0001", chains)
	if n := mostAtServer(v.Account())["0001"]; n > most {
		t.Errorf("%d requests were in flight at the server, want %d at most", n, most)
	}
}

// A worker that stops gives the chains that wait in it to others at once, and makes none of them itself.
func TestStoppingWorkerGivesWaitingChainsBack(t *testing.T) {
	const most, chains = 2, 12
	v, w := simulated(t, wolkvoxtest.Options{}, func(o *WorkerOptions) {
		o.ServerConcurrency, o.ShutdownTimeout = most, time.Minute
	})
	v.Hold()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.enqueue("0001", chains, 1)
	until(t, "chains that wait for the server", func() bool {
		w.runner.hosts.mu.Lock()
		defer w.runner.hosts.mu.Unlock()
		at := w.runner.hosts.of["0001"]
		return at != nil && at.taken == most && len(at.waiting) == chains-most
	})
	stop()
	until(t, "chains given back", func() bool { return readyIn(t, w) == chains-most })
	v.Release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := v.Account().Totals.Requests; n != most {
		t.Errorf("%d requests were made, want the %d that were in flight", n, most)
	}
}

// readyIn counts the chains that can be dispatched.
func readyIn(t *testing.T, w *world) int {
	t.Helper()
	all, err := w.stack.ledger.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, b := range all {
		n += b.Ready
	}
	return n
}

func TestHosts(t *testing.T) {
	f := func(n int) ledger.Dispatch { return ledger.Dispatch{Chain: fmt.Sprint("chain ", n), Number: "1"} }
	h := newHosts(2)
	const hasPlace, parked, ended = "true false", "false true", "false false"
	park := func(n int) string { return fmt.Sprint(h.park("0001", f(n), time.UnixMilli(int64(n)))) }
	is := func(what string, have, want any) {
		t.Helper()
		if have != want {
			t.Fatalf("%s: %v, want %v", what, have, want)
		}
	}
	is("nothing is full", h.blocked(""), "")
	is("the first place", h.take("0001"), true)
	is("a place elsewhere", h.take("0002"), true)
	is("the last place", h.take("0001"), true)
	is("one more", h.take("0001"), false)
	is("full", h.blocked(""), ledger.FullServer("0001"))
	is("full, for who is there", h.blocked("0001"), "")
	is("nobody waits", h.waits("0001"), false)
	is("the first waits", park(1), parked)
	is("the second waits", park(2), parked)
	is("somebody waits", h.waits("0001"), true)
	next, waited := h.leave("0001")
	h.handed.Done()
	is("the first gets the place", fmt.Sprint(next, waited), fmt.Sprint(f(1), true))
	is("it is taken", h.take("0001"), false)
	is("the second is given back at the end", fmt.Sprint(h.end()), fmt.Sprint([]ledger.Dispatch{f(2)}))
	is("nobody waits after the end", park(3), ended)
	_, waited = h.leave("0001")
	is("nobody gets the place", waited, false)
	is("it is free", h.blocked(""), "")
	h.leave("0001")
	h.leave("0002")
	is("nothing is kept of servers without requests", len(h.of), 0)
	h = newHosts(1)
	is("a place", h.take("0001"), true)
	h.leave("0001")
	is("a place that came free meanwhile", park(1), hasPlace)
	is("it is taken now", h.take("0001"), false)
}

// A run gives up its place to others by time: after one call of a slow vendor, after many of a quick one.
func TestRunKeepsItsPlaceForAShareOfTime(t *testing.T) {
	for name, c := range map[string]struct {
		before  time.Duration // at other chains
		ran     time.Duration // since it came to its chain
		crowded bool
		task    bool // a task waits in asynq
		waits   bool // chains wait for its server
		want    ledger.GoOn
	}{
		"nobody waits":                      {0, time.Minute, false, false, false, ledger.Any},
		"others wait, its share is not up":  {0, 30 * time.Millisecond, true, true, false, ledger.Any},
		"others wait, the chain's share is": {0, 64 * time.Millisecond, true, false, false, ledger.Others},
		"and a task waits for its place":    {0, 64 * time.Millisecond, true, true, false, ledger.Stop},
		"the same, after many short chains": {time.Second, 0, true, true, false, ledger.Stop},
		"others wait for its server":        {0, 30 * time.Millisecond, false, false, true, ledger.Own},
		"and its share is up":               {0, 64 * time.Millisecond, false, false, true, ledger.Stop},
		"it went on for very long":          {0, runLimit, false, false, false, ledger.Stop},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHosts(1)
			r := &runner{
				stack: new(stack), budget: budgetOf(64), hosts: h,
				current: func() bool { return true }, crowded: func(context.Context) bool { return c.crowded },
				backlog: func() int {
					if c.task {
						return 1
					}
					return 0
				},
			}
			h.take("0001")
			if c.waits {
				h.park("0001", ledger.Dispatch{Chain: aToken, Number: "1"}, time.Now())
			}
			run := &runState{began: time.Now().Add(-c.before), since: time.Now(), host: "0001"}
			<-time.After(c.ran)
			if on := r.goOn(t.Context(), run); on != c.want {
				t.Errorf("%s: %q, want %q", name, on, c.want)
			}
		})
	}
}

// Runs give up their places to tasks one by one, and only while tasks wait in asynq.
func TestPlacesComeFreeOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tasks := 0
		r := &runner{backlog: func() int { return tasks }}
		if r.yields() {
			t.Error("a run gives its place up to nobody")
		}
		tasks = 1
		for i := range 3 {
			if !r.yields() {
				t.Errorf("%d: a task waits, and no run gives its place up", i)
			}
			if r.yields() {
				t.Errorf("%d: two runs give their places up at once", i)
			}
			<-time.After(yieldEvery)
		}
		r.yielded.Store(time.Now().Add(time.Hour).UnixNano()) // and the clock was set back
		if !r.yields() {
			t.Error("no run gives its place up before the clock has caught up")
		}
	})
}

// A connection that hangs while it is made is the server's fault, as one that is refused is.
func TestServerThatTakesNoConnectionIsDown(t *testing.T) {
	_, w := simulated(t, wolkvoxtest.Options{}, func(o *WorkerOptions) {
		o.SlotMargin = 100 * time.Millisecond
		o.VendorDialer = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	w.begin()
	w.enqueue("0001", 8, 1)
	until(t, "the server known to be down", func() bool {
		all, err := breaker.New(w.stack.rdb, w.stack.prefix).Servers(t.Context(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return len(all) == 1 && all[0].State != breaker.Closed
	})
}

// Who has waited longest for a server gets its next place, wherever it waited, and though it was dispatched anew.
func TestPlaceGoesToWhoWaitedLongest(t *testing.T) {
	h := newHosts(1)
	h.take("0001")
	for _, c := range []struct {
		chain, number string
		since         int64
	}{{"b", "1", 20}, {"d", "2", 40}, {"c", "3", 30}, {"a", "4", 10}, {"c2", "5", 30}, {"b", "6", 25}, {"d", "7", 5}} {
		if _, parked := h.park("0001", ledger.Dispatch{Chain: c.chain, Number: c.number}, time.UnixMilli(c.since)); !parked {
			t.Fatalf("%+v does not wait", c)
		}
	}
	var got []string
	for h.waits("0001") {
		next, _ := h.leave("0001")
		h.handed.Done()
		got = append(got, next.Chain+next.Number)
	}
	if want := "a4 b6 c3 c25 d7"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if n := len(h.of["0001"].of); n > 0 {
		t.Errorf("%d chains are kept", n)
	}
}
