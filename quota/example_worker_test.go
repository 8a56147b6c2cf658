package quota_test

import (
	"context"
	"log"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"habilita/tasks"
	"habilita/tasks/taskstest"
)

// keys is what "enqueue keygen" prints; real keys come from HABILITA_KEYS. The workers use the same.
const keys = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

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
	vendor, err := taskstest.Listen(taskstest.Options{})
	must(err)
	vendor.Hold()
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	worker, err := tasks.NewWorker(ctx, rdb, tasks.WorkerOptions{Options: tasks.Options{Keys: keys}, WolkvoxURL: vendor.URL})
	must(err)
	running, end := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- worker.Run(running) }()

	client, err := tasks.Open(ctx, rdb, tasks.Options{Keys: keys})
	must(err)
	for _, chain := range []string{"a", "b"} {
		_, err := client.Enqueue(ctx, tasks.Call{Server: "1", Token: "token-of-north", Chain: chain, Licenses: 5, Batch: "two"})
		must(err)
	}
	must(vendor.WaitArrived(ctx, 2))
	vendorAnswers = func() {
		vendor.Release()
		_, err := client.Wait(ctx, "two")
		must(err)
	}
	return server.Addr(), func() {
		end()
		must(<-done)
		must(client.Close())
		must(rdb.Close())
		vendor.Close()
		server.Close()
	}
}
