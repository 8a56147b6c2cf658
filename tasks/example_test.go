package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"habilita/tasks"
	"habilita/tasks/taskstest"
)

// keys is what "enqueue keygen" prints. Real ones come from HABILITA_KEYS.
const keys = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// exampleClient opens a client on a Redis of its own.
func exampleClient(ctx context.Context) (c *tasks.Client, rdb *redis.Client, stop func()) {
	server, err := miniredis.Run()
	if err != nil {
		log.Fatal(err)
	}
	rdb = redis.NewClient(&redis.Options{Addr: server.Addr()})
	c, err = tasks.Open(ctx, rdb, tasks.Options{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	return c, rdb, func() { _ = c.Close(); _ = rdb.Close(); server.Close() }
}

// Enqueue one call. Its ID makes it harmless to enqueue it again: a program does so if it is not
// sure whether the call got through, or if it was restarted.
func ExampleClient_Enqueue() {
	ctx := context.Background()
	c, _, stop := exampleClient(ctx)
	defer stop()

	call := tasks.Call{
		Server:   "42",
		Token:    "token-of-the-operation",
		Licenses: 5, // 5,000 requests a day
		ID:       "order-1001",
	}
	for range 2 {
		receipt, err := c.Enqueue(ctx, call)
		if err != nil {
			log.Fatal(err) // it may be enqueued or not: do it again
		}
		fmt.Println(receipt.ID, "was there already:", receipt.Duplicate)
	}
	fmt.Println(call)
	// Output:
	// order-1001 was there already: false
	// order-1001 was there already: true
	// call to server 42, chain "", ref "", id "order-1001"
}

// Enqueue many calls from a sequence of any length, here the rows of a table. The calls of a
// token are made in the order of the sequence. A row that can't be a call is reported, and the
// others go on. Enqueueing the batch again adds only what is missing.
func ExampleClient_EnqueueBatch() {
	ctx := context.Background()
	c, _, stop := exampleClient(ctx)
	defer stop()

	rows := [][2]string{ // server and token
		{"0001", "token-of-north"},
		{"0001", "token-of-north"},
		{"example.com", "token-of-nobody"},
		{"wv0042", "token-of-south"},
	}
	var calls iter.Seq2[tasks.Call, error] = func(yield func(tasks.Call, error) bool) {
		for _, row := range rows {
			if !yield(tasks.Call{Server: row[0], Token: tasks.Token(row[1])}, nil) {
				return
			}
		}
	}
	rejected := func(err error) error {
		bad, ok := errors.AsType[*tasks.CallError](err)
		if !ok {
			return err // the sequence's own: stop
		}
		fmt.Println("rejected: call", bad.Index, "for its", bad.Field)
		return nil // go on with the others
	}
	for range 2 {
		sum, err := c.EnqueueBatch(ctx, "onboarding-2026-11", calls, tasks.OnFailure(tasks.PolicySkip), tasks.OnReject(rejected))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d rows: %d enqueued, %d were there, %d rejected; %d tokens\n",
			sum.Rows, sum.Enqueued, sum.Duplicates, sum.Rejected, sum.Tokens)
	}
	// Output:
	// rejected: call 2 for its server
	// 4 rows: 3 enqueued, 0 were there, 1 rejected; 2 tokens
	// rejected: call 2 for its server
	// 4 rows: 0 enqueued, 3 were there, 1 rejected; 2 tokens
}

// A worker inside the program makes the calls. The program waits for the batch, reads its results,
// and skips the call that was given up. Wolkvox is simulated here.
func ExampleNewWorker() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, rdb, stop := exampleClient(ctx)
	defer stop()
	vendor, err := taskstest.Listen(taskstest.Options{
		Tokens: map[tasks.Token]taskstest.Token{"token-of-nobody": {Bad: true}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer vendor.Close()

	w, err := tasks.NewWorker(ctx, rdb, tasks.WorkerOptions{
		Options:    tasks.Options{Keys: keys},
		WolkvoxURL: vendor.URL, // leave it out for the real one
	})
	if err != nil {
		log.Fatal(err)
	}
	running, end := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- w.Run(running) }()

	for _, token := range []tasks.Token{"token-of-north", "token-of-nobody"} {
		if _, err := c.Enqueue(ctx, tasks.Call{Server: "1", Token: token, Batch: "november", Ref: "operation 7"}); err != nil {
			log.Fatal(err)
		}
	}
	status, err := c.Wait(ctx, "november")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("succeeded:", status.Succeeded, "given up:", status.Failed, "chains held:", status.HeldChains)
	for r, err := range c.Results(ctx, "november") {
		if err != nil {
			log.Fatal(err)
		}
		if r.State == tasks.StateFailed {
			fmt.Println(r.Ref, r.State, r.Reason, "after", r.Attempts, "attempt")
		}
	}
	n, err := c.Skip(ctx, tasks.Selection{Batch: "november", Reason: tasks.ReasonBadToken})
	fmt.Println("skipped:", n, err)

	end() // the requests in flight end first
	fmt.Println("worker ended:", <-ended)
	// Output:
	// succeeded: 1 given up: 1 chains held: 1
	// operation 7 failed bad_token after 1 attempt
	// skipped: 1 <nil>
	// worker ended: <nil>
}
