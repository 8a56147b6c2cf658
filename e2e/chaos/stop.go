package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"habilita/e2e"
	"habilita/internal/testkit/wolkvoxtest"
)

// asynq's lease on a task is 30 s: a worker that stands still for less keeps its tasks.
// If it stands still for longer, others have them.

func stopRows(of func(whole, ci int) int) []row {
	return []row{
		{
			name: "SIGSTOP for less than asynq's lease", dose: fmt.Sprint(of(10, 1), " times 2–10 s"), took: 30 * second,
			units:    shared(of(10, 1), 4, func(u *unit, n int) { stopWorkers(u, n, 2*second, 10*second) }),
			recovery: "stop until the call is made again",
		},
		{
			name: "SIGSTOP for more than asynq's lease", dose: fmt.Sprint(of(10, 1), " times 35–45 s"), took: 60 * second,
			units:    shared(of(10, 1), 4, func(u *unit, n int) { stopWorkers(u, n, 35*second, 45*second) }),
			recovery: "the same",
		},
	}
}

// stopWorkers stops n of n+1 workers, each at a random moment and for a random time. In a third of
// the full dose's units it stops n of n, so that for a while no worker runs. (Then it measures no recovery.)
func stopWorkers(u *unit, n int, least, most time.Duration) {
	w := newWorld(u, nil)
	w.topUp()
	all := u.full && u.rand.IntN(3) == 0
	spare := 1
	if all {
		spare = 0
	}
	f := w.fleet(n + spare)
	type event struct {
		at     time.Duration
		worker *e2e.Worker
		resume bool
	}
	var events []event
	at := time.Duration(0)
	for i := range n {
		at += u.between(300*time.Millisecond, 1500*time.Millisecond)
		events = append(events, event{at, f.workers[i], false}, event{at + u.between(least, most), f.workers[i], true})
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	began := time.Now()
	stopped := map[*e2e.Worker]time.Time{}
	var stops []time.Time
	for _, e := range events {
		for pause(200 * time.Millisecond); time.Since(began) < e.at; pause(200 * time.Millisecond) {
			w.topUp()
		}
		if !e.resume {
			stopped[e.worker] = time.Now()
			stops = append(stops, time.Now())
			e.worker.Pause()
			continue
		}
		e.worker.Resume()
		// Only now does the worker read, and try to record, what came while it stood still.
		at := stopped[e.worker]
		w.unrecordedOf(at.Add(justBefore), at.Add(-justBefore), time.Now().Add(second))
		w.terms.Unsent += 24
	}
	w.looks(f.workers[0])
	w.settle()
	if !all {
		u.sum.recovery = callsBack(w.l.Vendor.Account(), stops, func(r wolkvoxtest.Record) bool { return r.Success })
	}
	for _, worker := range f.workers {
		if worker.Ended() {
			w.violation("I4", "%s ended", worker.Name)
		}
	}
	w.judge(false)
}
