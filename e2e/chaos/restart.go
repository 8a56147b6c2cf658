package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func restartRows(of func(whole, ci int) int) []row {
	kill := func(fsync string, recovery string) row {
		return row{
			name: "kill -9 of Redis and restart, appendfsync " + fsync, dose: fmt.Sprint(of(20, 1), " kills"), took: 60 * second,
			units:    shared(of(20, 1), 10, func(u *unit, n int) { killRedis(u, n, fsync) }),
			recovery: recovery,
		}
	}
	return []row{
		kill("everysec", "Redis answers until the next request"),
		kill("always", "the same"),
		{
			name: "AOF cut by its last second (power loss)", dose: fmt.Sprint(of(20, 1), " cuts"), took: 60 * second,
			units:    shared(of(20, 1), 7, cutRedis),
			recovery: "the same",
		},
	}
}

// killRedis kills Redis under load and starts it again.
func killRedis(u *unit, n int, fsync string) {
	w := newWorld(u, []string{"--appendfsync", fsync})
	w.topUp()
	workers := w.l.Workers(3)
	w.looks(workers[0])
	var kills, backs []time.Time
	lost := 0
	for range n {
		w.load()
		killed := time.Now()
		kills = append(kills, killed)
		w.l.Redis.Kill()
		pause(u.between(0, 2*second))
		w.l.Redis.Restart()
		backs = append(backs, time.Now())
		w.answersWhileAway(killed, time.Now())
		if fsync == "everysec" {
			// While the disk is busy with the last second's sync, Redis puts off writing its file
			// for up to 2 s: even a kill -9 may lose writes that Redis had acknowledged.
			w.terms.LostWrites = true
			w.unrecorded(killed.Add(-2*second), killed)
			lost += w.enqueueAgain()
		}
	}
	if fsync == "everysec" {
		u.sum.note("%d calls were lost and found again by enqueueing their batches again", lost)
	}
	w.settle()
	u.sum.recovery = firstAfter(w.l.Vendor.Account(), backs)
	w.judge(false)
	if fsync == "everysec" {
		w.heldBack(kills, backs)
	}
}

// answersWhileAway notes that Redis could not be written to. The worker keeps an answer of that
// time until Redis takes it, but the lease may end before.
func (w *world) answersWhileAway(from, to time.Time) {
	w.unrecordedOf(from.Add(second), from.Add(-justBefore), to.Add(2*second)) // SLOT_MARGIN; the longest pause of trying again
	w.terms.Unsent += 3 * 24                                                  // grants whose reply was lost
}

// load makes sure of work for a round, and waits until some of it is made.
func (w *world) load() {
	w.Helper()
	w.topUp()
	w.underLoad()
	pause(w.between(100*time.Millisecond, second))
}

// underLoad waits until a few more requests have been made.
func (w *world) underLoad() {
	w.Helper()
	n := w.l.Vendor.Account().Totals.Requests
	w.l.Vendor.AwaitRequests(n+20, longWait)
}

// heldBack checks that nothing was granted for one lease after each kill at which Redis may
// have lost writes: the last grant may have been made at the moment of the kill.
func (w *world) heldBack(kills, backs []time.Time) {
	w.Helper()
	first := firstAfter(w.l.Vendor.Account(), backs)
	for i, took := range first {
		if since := backs[i].Add(took).Sub(kills[i]); since < w.l.Lease() {
			w.violation("I1", "a request came %s after Redis was killed, within the lease", since)
		}
	}
}

// cutRedis kills Redis under load, cuts its append-only file back to where it was a second
// before, and starts it again. Rows that were enqueued in that second are enqueued again.
func cutRedis(u *unit, n int) {
	w := newWorld(u, nil)
	w.topUp()
	w.l.Workers(3)
	w.terms.LostWrites = true
	var kills, backs []time.Time
	lost := 0
	for range n {
		w.load()
		file := w.appendOnlyFile()
		size, sampled := fileSize(w, file), time.Now()
		p := w.plan(loadTokens, 6)
		w.l.Bulk(p) // acknowledged, and soon lost
		pause(second - time.Since(sampled))
		kills = append(kills, time.Now())
		w.l.Redis.Kill()
		w.must(w.appendOnlyFile() == file, "the append-only file was rewritten")
		err := os.Truncate(file, size)
		w.must(err == nil, "%v", err)
		pause(u.between(0, second))
		w.l.Redis.Restart()
		backs = append(backs, time.Now())
		// Writes since the sample are lost. Answers that came while Redis was away may not be
		// recorded before their lease ends.
		w.unrecorded(sampled.Add(-justBefore), time.Now().Add(justBefore))
		lost += w.enqueueAgain()
	}
	u.sum.note("%d calls were lost and found again by enqueueing their batches again", lost)
	w.settle()
	u.sum.recovery = firstAfter(w.l.Vendor.Account(), backs)
	w.judge(false)
	w.heldBack(kills, backs)
}

// enqueueAgain enqueues the last batches again, and returns how many calls Redis had lost.
func (w *world) enqueueAgain() (lost int) {
	w.Helper()
	for _, p := range w.plans[max(0, len(w.plans)-3):] {
		s := w.l.Bulk(p)
		if s.Enqueued+s.Duplicates != len(p.Rows) {
			w.violation("I6", "%+v", s)
		}
		lost += s.Enqueued
	}
	return lost
}

// appendOnlyFile returns the file that Redis appends to now.
func (w *world) appendOnlyFile() string {
	w.Helper()
	files, err := filepath.Glob(filepath.Join(w.l.Redis.Dir, "appendonlydir", "*.incr.aof"))
	w.must(err == nil && len(files) == 1, "append-only files: %v %v", files, err)
	return files[0]
}

func fileSize(w *world, file string) int64 {
	w.Helper()
	info, err := os.Stat(file)
	w.must(err == nil, "%v", err)
	return info.Size()
}
