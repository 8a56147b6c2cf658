package main

import (
	"strconv"
	"time"
)

// rate returns the calls a second by the vendor's account, from the first arrival to the last end.
func (s seen) rate() float64 { return float64(s.Requests) / s.Last.Sub(s.First).Seconds() }

// through measures the rate of a worker on chains of a length. All calls are enqueued before
// it starts.
func through(calls, length int) func(*rig) float64 {
	return func(r *rig) float64 {
		tokens := max(1, r.n(calls)/length)
		url := r.vendor()
		r.bulk(r.csv(tokens, length, together), "through")
		before := r.spent(nil)
		w := r.worker(url, atOnceAsPlain)
		s := r.await(url, tokens*length)
		r.tellCost(before, w, s)
		return s.rate()
	}
}

// spent is what was used so far.
type spent struct {
	redis, worker time.Duration // of a processor
	scripts       int
}

func (r *rig) spent(w *proc) spent {
	pid, err := strconv.Atoi(r.info("server", "process_id"))
	r.no(err)
	out := spent{redis: r.cpu(pid), scripts: r.scripts()}
	if w != nil {
		out.worker = r.cpu(w.cmd.Process.Pid)
	}
	return out
}

// tellCost logs what a call cost Redis and the worker.
func (r *rig) tellCost(before spent, w *proc, s seen) {
	after, n := r.spent(w), time.Duration(s.Requests)
	r.logf("    a call takes %s of Redis, %s of the worker and %.2f scripts", ((after.redis - before.redis) / n).Round(100*time.Nanosecond),
		((after.worker - before.worker) / n).Round(100*time.Nanosecond), float64(after.scripts-before.scripts)/float64(n))
}

// plainThrough measures the same for tasks of plain asynq, which have no order.
func plainThrough(calls int) func(*rig) float64 {
	return func(r *rig) float64 {
		n := r.n(calls)
		url := r.vendor()
		r.plainBulk(n, 0)
		before := r.spent(nil)
		w := r.plain(url, asynqDefault)
		s := r.await(url, n)
		r.tellCost(before, w, s)
		return s.rate()
	}
}

// waitingChains counts all script calls for each call, asynq's included, while 40 chains of
// one token share its slots at a vendor that takes 10 ms.
func waitingChains(r *rig) float64 {
	const chains = 40
	each := r.n(20)
	url := r.vendor("-latency", "10ms")
	r.bulk(r.chainsOfOne(chains, each), "waiting")
	before := r.scripts()
	r.worker(url)
	r.await(url, chains*each)
	time.Sleep(100 * time.Millisecond) // until the last outcome is recorded
	return float64(r.scripts()-before) / float64(chains*each)
}
