package main

import (
	"strconv"
	"time"
)

// checkInterval is the worker's own TaskCheckInterval.
const checkInterval = 10 * time.Millisecond

// settle is how long to wait after the last call before the processor time is measured. By then
// the guards of dispatches (10 s) have ended.
const settle = 15 * time.Second

const (
	heldPrefix  = "held"
	spentPrefix = "spent"
)

// idle returns the processor time of Redis and worker in percent of a core, while 25,000 chains
// are held (the vendor refuses their tokens) and 25,000 are put off (their quota is used).
func idle(r *rig) float64 {
	each := r.n(25_000)
	url := r.vendor("-bad", heldPrefix, "-spent", spentPrefix)
	r.bulk(r.csvOf(heldPrefix, each, 1, together), "held")
	r.bulk(r.csvOf(spentPrefix, each, 1, together), "spent")
	w := r.worker(url, "LOG_LEVEL=error")
	r.await(url, 2*each)
	time.Sleep(settle)
	return r.load(w)
}

func plainIdle(r *rig) float64 {
	url := r.vendor()
	w := r.plain(url, checkInterval)
	time.Sleep(settle)
	return r.load(w)
}

// load measures the processor time of Redis and the worker for 20 s, in percent of a core.
func (r *rig) load(w *proc) float64 {
	redis, err := strconv.Atoi(r.info("server", "process_id"))
	r.no(err)
	pids := []int{redis, w.cmd.Process.Pid}
	var before [2]time.Duration
	for i, pid := range pids {
		before[i] = r.cpu(pid)
	}
	began := time.Now()
	time.Sleep(20 * time.Second)
	took := time.Since(began)
	of := func(i int) float64 { return 100 * (r.cpu(pids[i]) - before[i]).Seconds() / took.Seconds() }
	server, worker := of(0), of(1)
	r.logf("    redis %.2f %%, worker %.2f %%", server, worker)
	return server + worker
}
