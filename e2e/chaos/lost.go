package main

import (
	"fmt"
	"os"
	"time"
)

// lostRows are for a Redis that loses its data while workers and producers live, or that restarts
// with lost writes while no worker runs.
func lostRows(of func(whole, ci int) int) []row {
	return []row{
		{
			name: "FLUSHALL under load, then the batches again", dose: fmt.Sprint(of(10, 1), " times, 3 workers"), took: 40 * second,
			units:    shared(of(10, 1), 5, flushRedis),
			recovery: "FLUSHALL until the next request",
		},
		{
			name: "worker killed, Redis restarted with its last second lost, worker started again", dose: fmt.Sprint(of(5, 1), " times"), took: 40 * second,
			units:    shared(of(5, 1), 5, restartWithNobody),
			recovery: "Redis answers until the next request",
		},
	}
}

// flushRedis removes all data under load. The workers live on, and a producer enqueues the same
// tokens again at once.
func flushRedis(u *unit, n int) {
	w := newWorld(u, nil)
	w.topUp()
	w.l.Workers(3)
	w.terms.LostWrites = true
	var losses []time.Time
	for range n {
		w.load()
		lost := time.Now()
		err := w.l.Client().FlushAll(u.Context()).Err()
		w.must(err == nil, "%v", err)
		losses = append(losses, lost)
		// Calls that had been made are made again, since their results are gone, too.
		w.unrecorded(time.Time{}, time.Now().Add(2*second))
		w.enqueueAll()
	}
	w.settle()
	var written []time.Time
	for _, at := range losses {
		written = append(written, at.Add(second)) // SLOT_MARGIN: requests that were granted before have been written by then
	}
	for _, took := range firstAfter(w.l.Vendor.Account(), written) {
		took += second
		u.sum.recovery = append(u.sum.recovery, took)
		if took < w.l.Lease() {
			w.violation("I1", "a request came %s after the data was lost, within the lease", took)
		}
	}
	w.judge(false)
}

// enqueueAll enqueues all batches again.
func (w *world) enqueueAll() {
	w.Helper()
	for _, p := range w.plans {
		if s := w.l.Bulk(p); s.Enqueued+s.Duplicates != len(p.Rows) {
			w.violation("I6", "%+v", s)
		}
	}
}

// restartWithNobody kills all workers with requests in flight, restarts Redis in such a way that it loses
// what it knew about them, and starts workers again.
func restartWithNobody(u *unit, n int) {
	w := newWorld(u, nil)
	w.topUp()
	f := w.fleet(2)
	w.terms.LostWrites = true
	var kills, backs []time.Time
	for range n {
		w.topUp()
		w.underLoad()
		file := w.appendOnlyFile()
		size, sampled := fileSize(w, file), time.Now()
		pause(u.between(500*time.Millisecond, second))
		for _, worker := range f.workers {
			worker.Kill()
		}
		kills = append(kills, time.Now())
		w.terms.Unsent += 2 * 24
		w.l.Redis.Kill()
		err := os.Truncate(file, size)
		w.must(err == nil, "%v", err)
		w.l.Redis.Restart()
		backs = append(backs, time.Now())
		f.workers = w.l.Workers(2)
		w.unrecorded(sampled.Add(-justBefore), time.Now().Add(justBefore))
		w.enqueueAgain()
	}
	w.settle()
	u.sum.recovery = firstAfter(w.l.Vendor.Account(), backs)
	w.judge(false)
	w.heldBack(kills, backs)
}
