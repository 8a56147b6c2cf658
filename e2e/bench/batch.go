package main

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"

	"habilita/internal/engine"
	"habilita/internal/leasttime"
)

// batch is a batch as users run it: the vendor works for a while on each call, and the time counts
// from the start of bulk to the last answer.
type batch struct {
	tokens, each, servers int
	latency               time.Duration
	varied                bool // the latency of a call is its workingTime
	atOnce                int  // CONCURRENCY, and that of the plain handler
	env                   []string
}

// worker has the default settings.
var worker = engine.WorkerOptions{}.WithDefaults()

// batchFigures are the rows of whole batches.
func batchFigures() []figure {
	const handler = "a plain asynq handler, no order and no limits, as many at once"
	tens := batch{tokens: 1000, each: 10, servers: 50, latency: 300 * time.Millisecond, atOnce: worker.Concurrency}
	wide := batch{tokens: 3000, each: 5, servers: 100, latency: time.Second, atOnce: 3000, env: []string{"CONCURRENCY=3000"}}
	ones := batch{tokens: 10_000, each: 1, servers: 100, latency: 300 * time.Millisecond, atOnce: 1000, env: []string{"CONCURRENCY=1000"}}
	varied := batch{tokens: 500, each: 20, servers: 50, varied: true, atOnce: worker.Concurrency}
	long := batch{tokens: 1000, each: 40, servers: 50, latency: 300 * time.Millisecond, atOnce: worker.Concurrency}
	const near = "the same with Redis on the same machine"
	far := func(what string, b batch) figure {
		return figure{what: "batch: " + what + ", Redis 1 ms away", against: near, unit: "s", less: true, floor: 1.3, ours: b.farSeconds, theirs: b.seconds}
	}
	return []figure{
		{what: "batch: 1,000 tokens x 10 calls over 50 servers, 300 ms, default settings, time over least", against: handler,
			unit: "x", less: true, floor: 1.4, absolute: true, ours: tens.overLeast, theirs: tens.plainOverLeast},
		{what: "batch: 3,000 tokens x 5 calls over 100 servers, 1 s, CONCURRENCY=3000, time over least", against: handler,
			unit: "x", less: true, floor: 1.6, absolute: true, ours: wide.overLeast, theirs: wide.plainOverLeast},
		{what: "memory of a worker with 3,000 requests in flight, the same batch", unit: "MB", less: true, floor: 150, absolute: true, ours: wide.peak},
		{what: "batch: 10,000 tokens x 1 call over 100 servers, 300 ms, 1,000 at once", against: handler,
			unit: "/s", floor: 1, ours: ones.rate, theirs: ones.plainRate},
		{what: "batch: 500 tokens x 20 calls over 50 servers, lognormal (median 400 ms, 99 % 5 s), time over least",
			unit: "x", less: true, floor: 1.3, absolute: true, ours: varied.overLeast},
		far("1,000 tokens x 10 calls, 300 ms", tens),
		far("3,000 tokens x 5 calls, 1 s", wide),
		far("10,000 tokens x 1 call, 300 ms", ones),
		{what: "forecast: 1,000 tokens x 40 calls over 50 servers, 300 ms, time over that of bulk --dry-run",
			unit: "x", less: true, floor: 1.2, absolute: true, ours: long.overPlan},
		{what: "forecast: the same, halfway, time left and that of watch, the longer over the shorter",
			unit: "x", less: true, floor: 1.2, absolute: true, ours: long.offForecast},
	}
}

// least returns the shortest possible time of the batch with so many tokens.
func (b batch) least(tokens int) time.Duration {
	if b.varied {
		return leastVaried(tokens, b.each)
	}
	least, _ := leasttime.Of(leasttime.Load{
		Calls: tokens * b.each, LongestChain: b.each, BusiestToken: b.each,
		BusiestHost: (tokens + b.servers - 1) / b.servers * b.each,
	}, leasttime.Limits{Workers: 1, Concurrency: b.atOnce, ServerConcurrency: worker.ServerConcurrency, TokenSlots: 2}, b.latency)
	return least
}

// leastVaried returns the time of the slowest chain.
func leastVaried(tokens, each int) time.Duration {
	var most time.Duration
	for i := range tokens {
		var sum time.Duration
		for n := range each {
			sum += workingTime(token("t", i), n+1)
		}
		most = max(most, sum)
	}
	return most
}

// workingTime returns how long the vendor works on a token's nth request: lognormal, with a median of
// 400 ms and 1 % above 5 s. It is the same in each turn.
func workingTime(token string, n int) time.Duration {
	const median, at99 = 0.4, 5.0
	h := fnv.New64a()
	_, _ = h.Write([]byte(token))
	sigma := math.Log(at99/median) / 2.3263 // by the normal distribution, 1 % is above 2.3263 sigma
	draw := rand.New(rand.NewPCG(h.Sum64(), uint64(n))).NormFloat64()
	return time.Duration(median * math.Exp(sigma*draw) * float64(time.Second))
}

// overLeast returns how many times its shortest possible time the batch takes.
func (b batch) overLeast(r *rig) float64 {
	return b.run(r).Seconds() / b.least(r.n(b.tokens)).Seconds()
}

func (b batch) plainOverLeast(r *rig) float64 {
	return b.plain(r).Seconds() / b.least(r.n(b.tokens)).Seconds()
}

func (b batch) rate(r *rig) float64 { return float64(r.n(b.tokens)*b.each) / b.run(r).Seconds() }

func (b batch) plainRate(r *rig) float64 { return float64(r.n(b.tokens)*b.each) / b.plain(r).Seconds() }

// run runs the batch with a worker that is already waiting, and returns the time.
func (b batch) run(r *rig) time.Duration {
	took, _ := b.runBy(r)
	return took
}

// peak returns the most memory that the batch's worker ever had, in MB.
func (b batch) peak(r *rig) float64 {
	_, w := b.runBy(r)
	return r.memory(w, "VmHWM") / 1e6
}

func (b batch) runBy(r *rig) (took time.Duration, worker *proc) {
	tokens := r.n(b.tokens)
	file := r.csvAt("t", tokens, b.each, b.servers, together)
	url := r.vendor(b.vendorArgs()...)
	w := r.worker(url, b.env...)
	before := r.spent(w)
	began, enqueued := r.bulkFrom(file, "batch")
	s := r.await(url, tokens*b.each)
	r.logf("    bulk took %s; the first request came %s after its start; most in flight %d; worker %.0f MB",
		enqueued.Round(time.Millisecond), s.First.Sub(began).Round(time.Millisecond), s.Most, r.memory(w, "VmRSS")/1e6)
	r.tellCost(before, w, s)
	r.tellCommands(s)
	return s.Last.Sub(began), w
}

// plain makes as many calls with a plain handler; each of its tasks is one call, in no order.
func (b batch) plain(r *rig) time.Duration {
	calls := r.n(b.tokens) * b.each
	url := r.vendor(b.vendorArgs()...)
	w := r.plain(url, asynqDefault, "-at-once", fmt.Sprint(b.atOnce))
	before := r.spent(w)
	began := time.Now()
	r.plainBulk(calls, 0)
	s := r.await(url, calls)
	r.logf("    most in flight %d", s.Most)
	r.tellCost(before, w, s)
	r.tellCommands(s)
	return s.Last.Sub(began)
}

func (b batch) vendorArgs() []string {
	if b.varied {
		return []string{"-varied"}
	}
	return []string{"-latency", b.latency.String()}
}
