package main

import (
	"fmt"
	"time"
)

func termRows(of func(whole, ci int) int) []row {
	return []row{
		{
			name: "SIGTERM under load", dose: fmt.Sprint(of(20, 2), " workers of 4"), took: 25 * second,
			units:    shared(of(20, 2), 10, func(u *unit, n int) { termWorkers(u, n, 1) }),
			recovery: "signal until exit 0",
		},
		{
			name: "SIGTERM of the only worker, others are idle", dose: fmt.Sprint(of(10, 1), " hand-overs"), took: 20 * second,
			units:    shared(of(10, 1), 10, handOver),
			recovery: "a chain's answer until its next call, by another worker",
		},
		{
			name: "rolling restart of all workers", dose: fmt.Sprint(of(20, 2), " times 4 workers"), took: 40 * second,
			units:    shared(of(20, 2), 7, func(u *unit, n int) { termWorkers(u, n, 4) }),
			recovery: "the same",
		},
	}
}

// termWorkers ends workers by SIGTERM, n times: one of four, or all of them in turn. Each is
// replaced when it has ended.
func termWorkers(u *unit, n, each int) {
	const shutdown = 10 * time.Second // SHUTDOWN_TIMEOUT
	w := newWorld(u, nil)
	w.topUp()
	workers := w.l.Workers(4)
	w.looks(workers[0])
	for range n {
		w.topUp()
		first := u.rand.IntN(len(workers))
		for i := range each {
			pause(u.between(50*time.Millisecond, 700*time.Millisecond))
			worker := &workers[(first+i)%len(workers)]
			began := time.Now()
			(*worker).Term()
			code := (*worker).Wait(longWait)
			took := time.Since(began)
			u.sum.recovery = append(u.sum.recovery, took)
			if code != 0 || took > shutdown {
				w.violation("I4", "%s ended with %d after %s", (*worker).Name, code, took)
			}
			*worker = w.l.StartWorker()
			if each > 1 {
				(*worker).Ready()
			}
		}
	}
	v := w.finish()
	if again := v.Requests - v.Calls; again != 0 || v.Unknown != 0 {
		w.violation("I5", "%d requests more than calls, %d unknown outcomes: an orderly end makes none", again, v.Unknown)
	}
}

// handOver ends the one worker that has all chains, while another one stands by. That one must make
// the calls that were not yet sent, at once.
func handOver(u *unit, n int) {
	w := newWorld(u, nil)
	w.chains, w.each = 2, 100    // so that no chain waits for a slot or runs out of calls
	w.l.Set("CONCURRENCY", "48") // nor waits for a place in the worker
	w.topUp()
	worker := w.l.Workers(1)[0]
	var ends []time.Time
	for range n {
		w.topUp()
		w.underLoad()
		other := w.l.StartWorker()
		other.Ready()
		ends = append(ends, time.Now())
		worker.Term()
		if code := worker.Wait(longWait); code != 0 {
			w.violation("I4", "%s ended with %d", worker.Name, code)
		}
		worker = other
	}
	w.settle()
	chains := map[string]string{}
	for _, p := range w.plans {
		for _, c := range w.l.Report(p.Batch) {
			chains[c.ID] = c.Chain
		}
	}
	u.sum.recovery = nextCalls(w.l.Vendor.Account(), chains, ends)
	if v := w.judge(false); v.Requests != v.Calls {
		w.violation("I5", "%d requests for %d calls: an orderly end makes none twice", v.Requests, v.Calls)
	}
}
