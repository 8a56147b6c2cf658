package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// asking decides when asynq's servers ask for tasks. asynq asks an empty queue again and again, for it
// can't be told of a task. Here an ask waits in the client that asynq was given, until somebody tells
// of a task or some time has passed. So an idle worker asks rarely, and at once when there is work.
//
// A word that was lost costs a task that time; nothing else depends on it.
type asking struct {
	queue   string        // asynq's; "": asks do not wait. asynq asks several queues one after the other, and must not wait at one for a task of another
	servers int           // of asynq, in this process
	every   time.Duration // an ask of all servers together, if nobody tells of a task
	stopped <-chan struct{}

	mu      sync.Mutex
	told    int // asks that need not wait
	waiting []chan struct{}
}

func newAsking(servers int, every time.Duration, stopped <-chan struct{}) *asking {
	return &asking{servers: servers, every: every, stopped: stopped}
}

// askRarely is how often an idle worker asks: a word may be lost, or a task come from somebody who tells nobody.
const askRarely = 200 * time.Millisecond

// tell lets n asks pass.
func (a *asking) tell(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ; n > 0 && len(a.waiting) > 0; n-- {
		close(a.waiting[0])
		a.waiting = a.waiting[1:]
	}
	a.told = min(a.told+n, a.servers)
}

// wait waits for its turn to ask.
func (a *asking) wait() {
	a.mu.Lock()
	if a.told > 0 {
		a.told--
		a.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	a.waiting = append(a.waiting, turn)
	a.mu.Unlock()
	// Servers that began together come apart.
	most := time.Duration(a.servers) * a.every
	select {
	case <-turn:
		return
	case <-time.After(most/2 + rand.N(most)):
	case <-a.stopped:
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = slices.DeleteFunc(a.waiting, func(one chan struct{}) bool { return one == turn })
}

// DialHook changes nothing.
func (*asking) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook changes nothing.
func (*asking) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook lets asks wait.
func (a *asking) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !a.isAsk(cmd) {
			return next(ctx, cmd)
		}
		a.wait()
		err := next(ctx, cmd)
		if err == nil {
			a.tell(2) // there may be more, for this server and for another one
		} else if !errors.Is(err, redis.Nil) {
			a.tell(1)
		}
		return err
	}
}

// isAsk knows the script that takes a task out by its keys. If a later asynq has another one, its asks
// do not wait.
func (a *asking) isAsk(cmd redis.Cmder) bool {
	args := cmd.Args()
	return a.decides() && cmd.Name() == "evalsha" && len(args) > 4 && fmt.Sprint(args[2]) == "4" && args[3] == "asynq:{"+a.queue+"}:pending"
}

// decides reports whether asks wait at all.
func (a *asking) decides() bool { return a.queue != "" }
