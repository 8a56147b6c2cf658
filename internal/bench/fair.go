package main

import (
	"time"

	"habilita/tasks"
)

const longChains = 100

// behindLong starts 100 chains of 1,000 calls, and when they are at work enqueues chains of
// one call, one after the other. It returns the median time in ms from the enqueueing to
// the request, and the throughput that there was.
func behindLong(r *rig) (waited, rate float64) {
	each := r.n(1000)
	url := r.vendor("-keep")
	r.bulk(r.csv(longChains, each, together), "long")
	r.worker(url)
	p, done := r.producer()
	defer done()
	first := r.seen(url, longChains*each/20)
	var ids []string
	var began []time.Time
	for i := range 15 {
		time.Sleep(100 * time.Millisecond)
		began = append(began, time.Now())
		receipt, err := p.Enqueue(r.ctx, tasks.Call{Server: "0001", Token: token("short", i)})
		r.no(err)
		ids = append(ids, receipt.ID+".1")
	}
	last := r.seen(url, 0)
	for last.Requests < longChains*each && !containsAll(last.IDs, ids) {
		time.Sleep(20 * time.Millisecond)
		last = r.seen(url, 0)
	}
	at := map[string]time.Time{}
	for i, id := range last.IDs {
		at[id] = last.Arrived[i]
	}
	var all []time.Duration
	for i, id := range ids {
		all = append(all, at[id].Sub(began[i]))
	}
	from, to := first.Requests, last.Requests
	return ms(median(all)), float64(to-from) / last.Arrived[to-1].Sub(last.Arrived[from-1]).Seconds()
}

func containsAll(have, want []string) bool {
	set := map[string]bool{}
	for _, id := range have {
		set[id] = true
	}
	for _, id := range want {
		if !set[id] {
			return false
		}
	}
	return true
}

func shortChain(r *rig) float64 {
	waited, rate := behindLong(r)
	r.made["rate"] = time.Duration(float64(time.Second) / rate).String() // a call, for roundRobin
	r.logf("    at %.0f calls a second", rate)
	return waited
}

// roundRobin is what the call would wait where every chain makes one call in turn, at the
// throughput that habilita had: one call of each chain before it.
func roundRobin(r *rig) float64 {
	one, err := time.ParseDuration(r.made["rate"])
	r.no(err)
	return ms(longChains * one)
}
