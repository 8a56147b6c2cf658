package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"habilita/e2e"
	"habilita/internal/control"
	"habilita/internal/testkit/wolkvoxtest"
)

// justBefore is how long before a kill an answer may have come and not been recorded.
// (Recording takes about a millisecond, but the machine may be busy.)
const justBefore = 250 * time.Millisecond

func workerRows(of func(whole, ci int) int) []row {
	return []row{
		{
			name: "kill -9 of a worker", dose: fmt.Sprint(of(100, 5), " kills, 4 workers"), took: 50 * second,
			units:    shared(of(100, 5), 20, killWorkers),
			recovery: "kill until the call is made again",
		},
		{
			name: "kill -9 of a worker as tokens use up their day", dose: fmt.Sprint(of(10, 0), " kills, 3 tokens of 1,000"), took: 30 * second,
			units:    shared(of(10, 0), 10, killAtQuota),
			recovery: "the same",
		},
		{
			name: "kill -9 of a worker, default time-outs", dose: fmt.Sprint(of(5, 0), " kills, lease 65 s"), took: 150 * second,
			units:    shared(of(5, 0), 5, killDefaults),
			recovery: "the same",
		},
	}
}

func optional(really bool, f func(u *unit)) []func(u *unit) {
	if !really {
		return nil
	}
	return []func(u *unit){f}
}

// gone reports whether the caller of a request had gone when the vendor was done.
func gone(r wolkvoxtest.Record) bool { return r.Gone }

// fleet is a group of workers; some are killed and replaced.
type fleet struct {
	w       *world
	workers []*e2e.Worker
	kills   []time.Time
}

func (w *world) fleet(n int, env ...string) *fleet {
	w.Helper()
	f := &fleet{w: w, workers: w.l.Workers(n, env...)}
	w.looks(f.workers[0])
	return f
}

// kill kills a worker at random by -9 and starts another in its place.
func (f *fleet) kill() {
	i := f.w.rand.IntN(len(f.workers))
	at := time.Now()
	f.workers[i].Kill()
	f.kills = append(f.kills, at)
	f.w.unrecorded(at.Add(-justBefore), time.Now())
	f.w.terms.Unsent += 24 // grants whose requests were not sent yet
	f.workers[i] = f.w.l.StartWorker()
}

// killWorkers kills one of four workers at random moments, n times.
func killWorkers(u *unit, n int) {
	w := newWorld(u, nil)
	w.topUp()
	f := w.fleet(4)
	for range n {
		w.topUp()
		pause(u.between(200*time.Millisecond, 2*second))
		f.kill()
	}
	w.looks(f.workers[0].Ready())
	w.settle()
	u.sum.recovery = callsBack(w.l.Vendor.Account(), f.kills, gone)
	w.judge(false)
}

// killDefaults does the same with the default time-outs, which make the lease 65 s.
func killDefaults(u *unit, n int) {
	w := newWorld(u, nil)
	w.l.Set("CALL_TIMEOUT", "", "VENDOR_TIMEOUT", "", "SLOT_MARGIN", "", "SHUTDOWN_TIMEOUT", "")
	w.topUp()
	f := w.fleet(4)
	for range n {
		w.topUp()
		pause(u.between(second, 4*second))
		f.kill()
	}
	w.settle()
	u.sum.recovery = callsBack(w.l.Vendor.Account(), f.kills, gone)
	w.judge(false)
}

// killAtQuota kills workers while tokens use up their day's quota. The kills must not let one
// more request through, and every call that is left must wait for tomorrow.
func killAtQuota(u *unit, n int) {
	const tokens, each = 3, 1060
	w := newWorld(u, nil, "--latency=10ms", "--jitter=10ms", "--licenses=1")
	w.licence, w.chains = 1, 4
	w.l.Bulk(w.plan(tokens, each))
	f := w.fleet(4)
	for range n {
		pause(u.between(100*time.Millisecond, 900*time.Millisecond))
		f.kill()
	}
	batch := w.plans[0].Batch
	w.l.AwaitStatus(batch, "days used up", longWait, func(s control.Status) bool { return s.Succeeded >= tokens*(1000-24*n) })
	last := ""
	w.l.Await("all chains wait for tomorrow", longWait, func(ctx context.Context) (bool, string) {
		n, wrong := 0, ""
		if ctx.Err() != nil {
			return false, last
		}
		for c, err := range w.l.Operator().Chains(ctx, false) {
			if err != nil {
				return false, last
			}
			if c.Reason != "quota" {
				wrong += fmt.Sprintf("%s %s until %s; ", c.State, c.Why, c.Until)
				continue
			}
			n++
		}
		last = fmt.Sprint(n, " chains wait for tomorrow; ", wrong)
		return n > 0 && wrong == "", last // the others have no call left
	})
	u.sum.recovery = callsBack(w.l.Vendor.Account(), f.kills, gone)
	w.terms.Open = true
	v := w.judge(true)
	for _, c := range w.l.Chains(false) {
		if !strings.Contains(c.Why, "tomorrow") {
			w.violation("I4", "a chain waits for %q", c.Why)
		}
	}
	if v.Requests > tokens*1000 {
		w.violation("I3", "%d requests, %d allowed", v.Requests, tokens*1000)
	}
}
