// Program outside is a module of its own that imports habilita as any program would.
package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"os"

	"github.com/redis/go-redis/v9"

	"habilita/quota"
	"habilita/tasks"
)

func main() {
	rdb := redis.NewClient(&redis.Options{Addr: os.Args[1], ContextTimeoutEnabled: true})
	defer rdb.Close()
	if err := run(context.Background(), rdb, "token-of-north"); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, rdb redis.UniversalClient, token tasks.Token) error {
	c, err := tasks.Open(ctx, rdb, tasks.Options{Keys: os.Getenv("HABILITA_KEYS")})
	if err != nil {
		return err
	}
	defer c.Close()
	receipt, err := c.Enqueue(ctx, tasks.Call{Server: "0042", Token: token, Licenses: 5}) // one call
	if err != nil {
		return err
	}
	var calls iter.Seq2[tasks.Call, error] = func(yield func(tasks.Call, error) bool) {
		yield(tasks.Call{Server: "0042", Token: token, ID: "order-1001"}, nil)
	}
	summary, err := c.EnqueueBatch(ctx, "onboarding-2026-11", calls) // many: iter.Seq2[tasks.Call, error]
	if err != nil {
		return err
	}
	fmt.Println(receipt.Duplicate, summary.Enqueued)

	// No worker makes the calls here, so cancel them.
	if _, err := c.Cancel(ctx, tasks.Selection{Batch: "onboarding-2026-11"}); err != nil {
		return err
	}
	status, err := c.Wait(ctx, "onboarding-2026-11") // until nothing more happens by itself
	if err != nil {
		return err
	}
	fmt.Println(status.Settled, status.Cancelled)
	for result, err := range c.Results(ctx, "onboarding-2026-11") {
		fmt.Println(result.ID, result.State, result.Reason, err)
	}
	var gone *tasks.BatchError
	if _, err := c.EnqueueBatch(ctx, "onboarding-2026-11", calls); errors.As(err, &gone) {
		fmt.Println(gone.Problem)
	}

	var limiter *quota.Limiter = c.Limiter()
	grant, err := limiter.Acquire(ctx, c.TokenID(token))
	if err != nil {
		return err
	}
	fmt.Println(grant.Used, grant.Limit)
	return grant.Answered(ctx)
}
