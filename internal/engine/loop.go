package engine

import (
	"context"
	"sync"
	"time"
)

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// background runs run until what it returns is called, which waits for its end.
func background(ctx context.Context, run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() { run(ctx) })
	return func() {
		cancel()
		ended.Wait()
	}
}

// every does something at intervals, as background does.
func every(ctx context.Context, interval time.Duration, do func(context.Context)) (stop func()) {
	return background(ctx, func(ctx context.Context) {
		for wait(ctx, interval); ctx.Err() == nil; wait(ctx, interval) {
			do(ctx)
		}
	})
}
