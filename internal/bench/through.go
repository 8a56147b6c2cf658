package main

import (
	"time"
)

// rate is the calls a second by the vendor's account, from the first arrival to the last end.
func (s seen) rate() float64 { return float64(s.Requests) / s.Last.Sub(s.First).Seconds() }

// through is the rate of the worker at work on chains of a length: all is enqueued before
// it starts.
func through(calls, length int) func(*rig) float64 {
	return func(r *rig) float64 {
		tokens := max(1, r.n(calls)/length)
		url := r.vendor()
		r.bulk(r.csv(tokens, length, together), "through")
		r.worker(url)
		return r.await(url, tokens*length).rate()
	}
}

// plainThrough is the same for tasks of plain asynq, which know no order.
func plainThrough(calls int) func(*rig) float64 {
	return func(r *rig) float64 {
		n := r.n(calls)
		url := r.vendor()
		r.plainBulk(n, 0)
		r.plain(url, asynqDefault)
		return r.await(url, n).rate()
	}
}

// waitingChains counts the script calls of everybody, asynq's included, while 40 chains of
// one token share its slots at a vendor that takes 10 ms.
func waitingChains(r *rig) float64 {
	const chains = 40
	each := r.n(20)
	url := r.vendor("-latency", "10ms")
	r.bulk(r.chainsOfOne(chains, each), "waiting")
	before := r.scripts()
	r.worker(url)
	r.await(url, chains*each)
	time.Sleep(100 * time.Millisecond) // the last outcome
	return float64(r.scripts()-before) / float64(chains*each)
}
