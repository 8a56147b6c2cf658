package engine_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"habilita/internal/engine"
)

// keys is what "enqueue keygen" prints. Real ones come from HABILITA_KEYS.
const keys = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// exampleRedis stands for the Redis of the workers.
func exampleRedis() (rdb *redis.Client, stop func()) {
	server, err := miniredis.Run()
	if err != nil {
		log.Fatal(err)
	}
	rdb = redis.NewClient(&redis.Options{Addr: server.Addr()})
	return rdb, func() { _ = rdb.Close(); server.Close() }
}

// One call. Its ID makes enqueueing it again harmless, so a program that is not sure
// whether it got through, or that was started again, enqueues it once more.
func ExampleNewProducer() {
	rdb, stop := exampleRedis()
	defer stop()
	ctx := context.Background()

	p, err := engine.NewProducer(ctx, rdb, engine.Options{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	call := engine.Call{
		Server:   "42",
		Token:    "token-of-the-operation",
		Licenses: 5, // 5,000 requests a day
		ID:       "order-1001",
	}
	for range 2 {
		receipt, err := p.Enqueue(ctx, call)
		if err != nil {
			log.Fatal(err) // it may be enqueued or not: do it again
		}
		fmt.Println(receipt.ID, "was there already:", receipt.Duplicate)
	}
	// Output:
	// order-1001 was there already: false
	// order-1001 was there already: true
}

// Many calls, from a sequence that may be as long as one likes: here rows of a table.
// The calls of a token are made in the order of the sequence. What can't be a call is
// named, and stops no other. Enqueueing the batch again adds only what is missing.
func ExampleProducer_EnqueueBatch() {
	rdb, stop := exampleRedis()
	defer stop()
	ctx := context.Background()

	p, err := engine.NewProducer(ctx, rdb, engine.Options{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	rows := [][2]string{ // server and token
		{"0001", "token-of-north"},
		{"0001", "token-of-north"},
		{"example.com", "token-of-nobody"},
		{"wv0042", "token-of-south"},
	}
	var calls iter.Seq2[engine.Call, error] = func(yield func(engine.Call, error) bool) {
		for _, row := range rows {
			if !yield(engine.Call{Server: row[0], Token: engine.Token(row[1])}, nil) {
				return
			}
		}
	}
	rejected := func(err error) error {
		var bad *engine.CallError
		if !errors.As(err, &bad) {
			return err // the sequence's own: stop
		}
		fmt.Println("rejected: call", bad.Index, "for its", bad.Field)
		return nil // go on with the others
	}
	for range 2 {
		sum, err := p.EnqueueBatch(ctx, "onboarding-2026-11", calls, engine.OnReject(rejected))
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
