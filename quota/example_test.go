package quota_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/quota"
	"habilita/tasks"
)

// A program sends a request of its own while a worker makes calls for the same token. The limiter
// comes from the client, so it has the workers' names, slots, counts and limits.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	addr, stop := startWorker(ctx) // a worker, with 2 requests of the token in flight
	defer stop()

	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer rdb.Close()
	client, err := tasks.Open(ctx, rdb, tasks.Options{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	limiter := client.Limiter()
	name := client.TokenID("token-of-north") // package quota knows tokens by their names

	if d, err := limiter.Try(ctx, name); err == nil && !d.Granted {
		fmt.Println("not now:", d.Reason) // both slots are the worker's
	}
	vendorAnswers()
	grant, err := limiter.Acquire(ctx, name) // waits for a slot
	if no, ok := errors.AsType[*quota.NotNowError](err); ok {
		fmt.Println("later:", no.Decision.Reason, no.Decision.RetryAt)
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("granted: request %d of %d today\n", grant.Used, grant.Limit) // the worker's two count, too
	switch answered, sent := request(ctx); {
	case answered:
		err = grant.Answered(ctx)
	case !sent:
		err = grant.NotSent(ctx)
	} // otherwise nothing: the vendor may still work on it, and the slot stays taken
	if err != nil {
		log.Print(err) // the slot is free when the lease ends
	}
	usage, err := limiter.Usage(ctx, name)
	fmt.Println("slots taken:", usage.Held, "left today:", usage.Left(), err)
	// Output:
	// not now: slots
	// granted: request 3 of 5000 today
	// slots taken: 0 left today: 4997 <nil>
}

func request(context.Context) (answered, sent bool) { return true, true }
