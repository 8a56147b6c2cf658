package engine

import (
	"context"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

// servers are asynq's servers of one worker. Each has one goroutine that takes tasks out,
// one in a round trip, so one server alone would start 250 chains a second where a
// round trip takes 4 ms, and a task would wait for all before it.
type servers []*asynq.Server

const (
	maxServers      = 4
	placesPerServer = 16
	// A worker with very many places has more of them: it starts as many runs when a batch comes.
	mostServers   = 16
	placesForMore = 64
	janitorEvery  = 8 * time.Second // asynq's own
)

func serversFor(places int) int {
	return max(1, min(maxServers, places/placesPerServer), min(mostServers, places/placesForMore))
}

// newServers shares the worker's places among servers. What asynq does now and then, they do together as often
// as one server would.
func (w *Worker) newServers(base context.Context) servers {
	n := serversFor(w.o.Concurrency)
	all := make(servers, n)
	queues := map[string]int{}
	for _, name := range w.consumes {
		queues[name] = 1
	}
	// Together all servers ask all queues four times as often as one server would ask one queue.
	often := time.Duration(n) * lessOften(1, len(queues))
	check := often * w.o.TaskCheckInterval
	if w.asking.decides() {
		check = w.o.TaskCheckInterval
	}
	for i := range all {
		all[i] = asynq.NewServerFromRedisClient(w.asynqRDB, asynq.Config{
			Concurrency:              (w.o.Concurrency + i) / n,
			Queues:                   queues,
			BaseContext:              func() context.Context { return base },
			TaskCheckInterval:        check,
			DelayedTaskCheckInterval: often * max(time.Second, w.o.TaskCheckInterval),
			JanitorInterval:          time.Duration(n) * janitorEvery,
			ShutdownTimeout:          w.o.ShutdownTimeout,
			RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return time.Second },
			ErrorHandler:             asynq.ErrorHandlerFunc(w.failed),
			Logger:                   asynqLog{w.log},
			LogLevel:                 asynq.WarnLevel,
		})
	}
	return all
}

// start starts all; where one can't be, none is left running.
func (s servers) start(h asynq.Handler) error {
	for i, one := range s {
		if err := one.Start(h); err != nil {
			s[:i].shutdown()
			return err
		}
	}
	return nil
}

// stop ends the taking of tasks.
func (s servers) stop() { s.each((*asynq.Server).Stop) }

// shutdown waits for the handlers, for as long as one server would.
func (s servers) shutdown() { s.each((*asynq.Server).Shutdown) }

// each does it to all at the same time: each may hang in Redis.
func (s servers) each(do func(*asynq.Server)) {
	var wg sync.WaitGroup
	for _, one := range s {
		wg.Go(func() { do(one) })
	}
	wg.Wait()
}
