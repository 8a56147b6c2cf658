package main

import (
	"fmt"
	"time"

	"habilita/e2e"
	"habilita/internal/testkit/wolkvoxtest"
)

// crowdRows are the faults of a worker with many requests in flight.
func crowdRows(of func(whole, ci int) int) []row {
	n := of(2000, 200)
	times := func(runs int, f func(u *unit, n int)) (all []func(u *unit)) {
		for range runs {
			all = append(all, func(u *unit) { f(u, n) })
		}
		return all
	}
	return []row{
		{
			name: "kill -9 of a worker with 2,000 requests in flight", dose: fmt.Sprint(of(3, 1), " times, ", n, " in flight"), took: 60 * second,
			units: times(of(3, 1), killCrowd), alone: true,
			recovery: "kill until the call is made again",
		},
		{
			name: "SIGTERM of a worker with 2,000 requests in flight", dose: fmt.Sprint(of(3, 1), " times, ", n, " in flight"), took: 40 * second,
			units: times(of(3, 1), termCrowd), alone: true,
			recovery: "signal until exit 0",
		},
		{
			name: "a server that stops answering with 64 requests in it", dose: "80 calls there, 200 at others", took: 70 * second,
			units:    []func(u *unit){hangServer},
			recovery: "the calls of all other servers, meanwhile",
		},
	}
}

// crowd starts a world with a worker that has n requests in flight.
func crowd(u *unit, n int) (*world, *e2e.Worker) {
	w := newWorld(u, nil, "--latency=4s", "--jitter=1s")
	w.l.Set("CALL_TIMEOUT", "20s", "VENDOR_TIMEOUT", "20s", "SLOT_MARGIN", "5s", "SHUTDOWN_TIMEOUT", "40s",
		"CONCURRENCY", fmt.Sprint(n), "SERVER_CONCURRENCY", fmt.Sprint(n))
	w.chains = 1
	worker := w.l.Workers(1)[0]
	w.l.Bulk(w.plan(n, 2))
	w.l.Vendor.Await(fmt.Sprint(n, " requests in flight"), longWait, func(a wolkvoxtest.Account) bool { return a.Totals.InFlight >= n*9/10 })
	return w, worker
}

func killCrowd(u *unit, n int) {
	w, worker := crowd(u, n)
	at := time.Now()
	worker.Kill()
	w.unrecorded(at.Add(-justBefore), time.Now())
	w.terms.Unsent += n // grants whose requests were not sent yet
	w.l.StartWorker()
	w.settle()
	u.sum.recovery = callsBack(w.l.Vendor.Account(), []time.Time{at}, gone)
	w.judge(false)
}

func termCrowd(u *unit, n int) {
	w, worker := crowd(u, n)
	began := time.Now()
	worker.Term()
	if code := worker.Wait(longWait); code != 0 {
		w.violation("I4", "%s ended with %d", worker.Name, code)
	}
	u.sum.recovery = append(u.sum.recovery, time.Since(began))
	w.l.StartWorker()
	if v := w.finish(); v.Requests != v.Calls || v.Unknown != 0 {
		w.violation("I5", "%d requests for %d calls, %d unknown outcomes: an orderly end makes none", v.Requests, v.Calls, v.Unknown)
	}
}

// hangServer makes one server of the vendor take half a minute for each request. It gets as many requests as
// a worker may have there, and more chains wait for it. The calls for all other servers must end first.
func hangServer(u *unit) {
	const hangs, most = "0099", 64 // SERVER_CONCURRENCY by default
	w := newWorld(u, nil, "--latency=50ms", "--slow-server="+hangs, "--slow-for=30s")
	w.l.Set("CALL_TIMEOUT", "60s", "VENDOR_TIMEOUT", "60s", "SLOT_MARGIN", "5s", "SHUTDOWN_TIMEOUT", "75s", "CONCURRENCY", "80")
	w.l.Workers(1)
	var rows []e2e.Row
	for i := range most + 16 {
		rows = append(rows, e2e.Row{Server: hangs, Token: w.token(i), Licenses: w.licence})
	}
	w.l.Bulk(w.planOf(rows))
	at := func(a wolkvoxtest.Account) (now int) {
		for _, r := range a.Records {
			if r.Server == hangs && r.EndSeq == 0 {
				now++
			}
		}
		return now
	}
	w.l.Vendor.Await("all requests that may be at the server", longWait, func(a wolkvoxtest.Account) bool { return at(a) >= most })
	began := time.Now()
	rows = e2e.Many(100, 2, func(i int) string { return w.token(1000 + i) })
	others := w.planOf(rows)
	w.l.Bulk(others)
	w.l.AwaitSettled(others.Batch, longWait)
	u.sum.recovery = append(u.sum.recovery, time.Since(began))
	switch n := at(w.l.Vendor.Account()); {
	case n == 0:
		w.violation("I4", "the calls of all other servers ended after those of the one that hangs")
	case n > most:
		w.violation("I4", "%d requests were at the server that hangs, want %d at most", n, most)
	}
	w.finish()
}
