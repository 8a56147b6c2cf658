package quota_test

import (
	"context"
	"log"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/engine"
	"habilita/internal/testkit/wolkvoxtest"
)

var vendorAnswers func() // lets the vendor answer the worker's requests, and waits until it has noted that

// startWorker runs a worker with a Redis and a vendor of its own, enqueues two calls of a
// token, and returns when both requests are at the vendor.
func startWorker(ctx context.Context) (addr string, stop func()) {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	server, err := miniredis.Run()
	must(err)
	vendor, err := wolkvoxtest.Listen("127.0.0.1:0", wolkvoxtest.Options{})
	must(err)
	vendor.Hold()
	ended := make(chan struct{}, 2)
	worker, err := engine.NewWorker(ctx, engine.WorkerOptions{
		Options: engine.Options{Keys: keys}, RedisURL: "redis://" + server.Addr(), WolkvoxURL: vendor.URL, Log: zerolog.Nop(),
		AfterOutcome: func(engine.Recorded) { ended <- struct{}{} },
	})
	must(err)
	running, end := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- worker.Run(running) }()

	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	producer, err := engine.NewProducer(ctx, rdb, engine.Options{Keys: keys})
	must(err)
	for _, chain := range []string{"a", "b"} {
		_, err := producer.Enqueue(ctx, engine.Call{Server: "1", Token: "token-of-north", Chain: chain, Licenses: 5})
		must(err)
	}
	must(vendor.Wait(ctx, func(a wolkvoxtest.Account) bool { return len(a.Records) == 2 }))
	vendorAnswers = func() {
		vendor.Release()
		for range 2 {
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				log.Fatal("the worker noted no outcome")
			}
		}
	}
	return server.Addr(), func() {
		end()
		must(<-done)
		must(producer.Close())
		must(rdb.Close())
		vendor.Close()
		server.Close()
	}
}
