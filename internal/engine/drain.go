package engine

import (
	"context"
	"sync"
	"time"
)

// places has an element for each run of a worker, at most as many as it may have requests in flight.
type places chan struct{}

// enter waits for a place and takes it. It returns false if the worker stops first.
func (p places) enter(stopped <-chan struct{}) bool {
	select {
	case p <- struct{}{}:
		return true
	case <-stopped:
		return false
	}
}

func (p places) leave() { <-p }

// waitIdle takes all places, and so waits for every run. It returns how many runs have not
// ended when ctx ends.
func (p places) waitIdle(ctx context.Context) (left int) {
	for n := range cap(p) {
		select {
		case p <- struct{}{}:
		case <-ctx.Done():
			return cap(p) - n
		}
	}
	return 0
}

const (
	// recordAtTheEnd is how long before the end of ShutdownTimeout requests are cut off, so that
	// their outcome, unknown, can still be recorded.
	recordAtTheEnd = time.Second
	// endWait is how long, after ShutdownTimeout, a stopping worker waits for what hangs in Redis.
	endWait = time.Second
	// leaveWait is how long it waits for Redis to note that it leaves the membership.
	leaveWait = time.Second
)

// drain ends a worker that takes no more calls. It waits for every run of this process itself:
// after half a minute without Redis, asynq has given their places away and waits for none of
// them. end ends the loops and asynq's servers, cutOff the requests in flight, and giveUp the
// recording of outcomes. drain takes at most ShutdownTimeout plus endWait, whatever Redis and
// the vendor do.
func (w *Worker) drain(end, cutOff, giveUp func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		end()
	}()
	defer time.AfterFunc(w.o.ShutdownTimeout-recordAtTheEnd, cutOff).Stop()
	defer time.AfterFunc(w.o.ShutdownTimeout, giveUp).Stop()
	ctx, cancel := context.WithTimeout(context.Background(), w.o.ShutdownTimeout+endWait)
	defer cancel()
	if left := w.places.waitIdle(ctx); left > 0 {
		w.hangs.Store(true)
		w.log.Error().Int("in_flight", left).Msg("the worker ends before its calls: their outcomes are unknown, and they come back after their leases")
		return
	}
	select {
	case <-ended:
	case <-ctx.Done():
		w.hangs.Store(true)
		w.log.Warn().Msg("the worker ends although Redis hangs: tasks that it had fetched come back by themselves")
	}
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Background runs run until stop is called. stop waits until run has returned.
func Background(ctx context.Context, run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() { run(ctx) })
	return func() {
		cancel()
		ended.Wait()
	}
}

// Every calls do at intervals until stop is called, as Background does.
func Every(ctx context.Context, interval time.Duration, do func(context.Context)) (stop func()) {
	return Background(ctx, func(ctx context.Context) {
		for wait(ctx, interval); ctx.Err() == nil; wait(ctx, interval) {
			do(ctx)
		}
	})
}
