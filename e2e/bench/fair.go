package main

import (
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"habilita/internal/engine"
)

const longChains = 100

// behindLong waits until long chains are running, enqueues chains of one call, one after
// the other, and returns the median time in ms from enqueueing to the request. The server
// of each of these calls is its number, from 1000 up, so that the vendor can tell them apart.
func (r *rig) behindLong(url string, total int, enqueue func(i int) error) float64 {
	const short = 40
	first := r.seen(url, total/20)
	var began []time.Time
	var took []time.Duration
	for i := range short {
		time.Sleep(100 * time.Millisecond)
		began = append(began, time.Now())
		r.no(enqueue(i))
		took = append(took, time.Since(began[i]))
	}
	last := r.seen(url, 0)
	for last.Requests < total && len(last.Marked) < short {
		time.Sleep(20 * time.Millisecond)
		last = r.seen(url, 0)
	}
	var all []time.Duration
	for i := range short {
		all = append(all, last.Marked[mark(i)].Sub(began[i]))
	}
	from, to := first.Requests, last.Requests
	rate := float64(to-from) / last.Arrived[to-1].Sub(last.Arrived[from-1]).Seconds()
	r.logf("    at %.0f calls a second; %.1f ms of it are the enqueueing; every chain one call in turn, and nothing else: %.1f ms",
		rate, ms(median(took)), 1000*longChains/rate)
	return ms(median(all))
}

func mark(i int) string { return fmt.Sprint(1000 + i) }

func shortChain(r *rig) float64 {
	each := r.n(1000)
	url := r.vendor("-keep")
	r.bulk(r.csv(longChains, each, together), "long")
	r.worker(url, atOnceAsPlain)
	p, done := r.producer()
	defer done()
	return r.behindLong(url, longChains*each, func(i int) error {
		_, err := p.Enqueue(r.ctx, engine.Call{Server: mark(i), Token: engine.Token(token("short", i))})
		return err
	})
}

// roundRobin runs the same chains with plain asynq: a handler puts the next call of its
// chain at the end of the queue.
func roundRobin(r *rig) float64 {
	each := r.n(1000)
	url := r.vendor("-keep")
	r.plainBulk(longChains, each-1)
	r.plain(url, asynqDefault)
	client := r.client()
	return r.behindLong(url, longChains*each, func(i int) error {
		_, err := client.EnqueueContext(r.ctx, plainTask(plainCall{Server: mark(i), Token: token("short", i)}), asynq.Queue(plainQueue))
		return err
	})
}
