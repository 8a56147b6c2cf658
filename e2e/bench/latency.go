package main

import (
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/hibiken/asynq"

	"habilita/internal/engine"
)

// gaps returns the median time in ms from an answer to the arrival of the next request, for
// a single chain.
func (s seen) gaps() float64 {
	var all []time.Duration
	for i := 1; i < len(s.Arrived); i++ {
		all = append(all, s.Arrived[i].Sub(s.Ended[i-1]))
	}
	return ms(median(all))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func handOff(r *rig) float64 {
	n := r.n(200)
	url := r.vendor("-keep", "-latency", "2ms")
	r.worker(url)
	r.bulk(r.csv(1, n, together), "hand-off")
	return r.seen(url, n).gaps()
}

// plainHandOff measures a chain whose handler enqueues the next task.
func plainHandOff(r *rig) float64 {
	const n = 8 // about a second each
	url := r.vendor("-keep", "-latency", "2ms")
	r.plain(url, asynqDefault)
	r.plainBulk(1, n-1)
	return r.seen(url, n).gaps()
}

// producer starts a producer in this process.
func (r *rig) producer() (*engine.Producer, func()) {
	p, err := engine.NewProducer(r.ctx, r.rdb, engine.Options{Keys: r.keys})
	r.no(err)
	return p, func() { _ = p.Close() }
}

// oneByOne enqueues n calls, each on a worker that has nothing to do, and returns the
// median time in ms until the request is at the vendor.
func (r *rig) oneByOne(url string, n int, enqueue func(i int) error) float64 {
	var all []time.Duration
	for i := range n {
		// Start at varying phases of anything that polls.
		time.Sleep(300*time.Millisecond + time.Duration(i*37%100)*time.Millisecond)
		began := time.Now()
		r.no(enqueue(i))
		s := r.seen(url, i+1)
		all = append(all, s.Arrived[i].Sub(began))
	}
	return ms(median(all))
}

func single(r *rig) float64 {
	url := r.vendor("-keep")
	r.worker(url)
	p, done := r.producer()
	defer done()
	return r.oneByOne(url, r.n(60), func(i int) error {
		_, err := p.Enqueue(r.ctx, engine.Call{Server: "0001", Token: engine.Token(token("s", i))})
		return err
	})
}

// waitedFor returns the median time in ms of the command that enqueues a call and waits for
// its result. The 90th percentile goes to the log.
func waitedFor(r *rig) float64 {
	r.worker(r.vendor())
	var all []time.Duration
	for i := range r.n(50) {
		time.Sleep(time.Duration(i*37%100) * time.Millisecond) // at varying phases of anything that polls
		cmd := exec.CommandContext(r.ctx, r.bin.Enqueue, "call", "--server", "1", "--wait")
		cmd.Env = r.environ("WOLKVOX_TOKEN=" + token("w", 0))
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			r.tb.Fatalf("%v\n%s", err, out)
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	r.logf("  90th percentile: %.1f ms", ms(all[len(all)*9/10]))
	return ms(median(all))
}

func plainSingle(r *rig) float64 {
	url := r.vendor("-keep")
	r.plain(url, asynqDefault)
	client := r.client()
	return r.oneByOne(url, r.n(10), func(i int) error {
		c := plainCall{Server: "0001", Token: token("s", i), Ref: fmt.Sprint("order-", i)}
		_, err := client.EnqueueContext(r.ctx, plainTask(c), asynq.Queue(plainQueue))
		return err
	})
}
