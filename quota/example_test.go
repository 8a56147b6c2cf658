package quota_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/engine"
	"habilita/quota"
)

// What "enqueue keygen" prints; real ones come from HABILITA_KEYS. The workers have the same.
const keys = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// One request of a program that shares its token with the workers: granted, sent, and
// released only where the vendor answered. The limiter comes from a producer, so that its
// names, slots, counts and settings are the workers'.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, stop := startWorker(ctx) // a worker, with 2 requests of the token in flight
	defer stop()

	rdb := redis.NewClient(&redis.Options{Addr: server})
	defer rdb.Close()
	producer, err := engine.NewProducer(ctx, rdb, engine.Options{Keys: keys})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer producer.Close()
	limiter, err := producer.Limiter(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	name := producer.TokenID("token-of-north") // quota knows tokens by their names alone

	if d, err := limiter.Try(ctx, name); err == nil && !d.Granted {
		fmt.Println("not now:", d.Reason)
	}
	vendorAnswers()
	grant, err := limiter.Acquire(ctx, name) // waits for a slot
	if no, ok := errors.AsType[*quota.NotNowError](err); ok {
		fmt.Println("later:", no.Decision.Reason, no.Decision.RetryAt)
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("granted: request %d of %d today\n", grant.Used, grant.Limit)
	switch answered, sent := send(ctx); {
	case answered:
		_, _, err = limiter.Release(ctx, grant)
	case !sent:
		_, _, err = limiter.GiveBack(ctx, grant)
	default:
		// Unknown: the vendor may still work on it. The slot stays taken.
	}
	if err != nil {
		fmt.Println(err) // the slot is free when the lease ends
	}
	// Output:
	// not now: slots
	// granted: request 3 of 5000 today
}

func send(context.Context) (answered, sent bool) { return true, true }
