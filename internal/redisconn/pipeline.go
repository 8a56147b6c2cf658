package redisconn

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

const (
	// pipelines is how many connections scripts are sent on at the same time. While one of them is free
	// a script is sent at once.
	pipelines = 2
	// pipelineMost is how many scripts one pipeline has. Redis works through all of them before it
	// looks at another connection, so more would make others wait.
	pipelineMost = 16
)

// Pipelined makes a client send the scripts (EVALSHA) that many goroutines run at the same time in
// pipelines over a few connections. That costs Redis and the program fewer system calls, and
// no number of connections or round trips bounds how many scripts run in a second. Each script has
// its own reply and its own error. A client of a cluster is left as it is: there, one node that
// hangs must not hold up scripts of the others.
func Pipelined(c redis.UniversalClient) {
	if _, several := c.(*redis.ClusterClient); !several {
		c.AddHook(&pipeliner{client: c})
	}
}

// pipeliner is the go-redis hook of Pipelined.
type pipeliner struct {
	PlainHook
	client redis.UniversalClient
	plain  scriptQueue
	acked  scriptQueue // of scripts that replicas acknowledge: these take longer, and hold up no others
}

// scriptQueue has pipelines of its own, and scripts that wait for one.
type scriptQueue struct {
	mu      sync.Mutex
	busy    int // pipelines on their way
	waiting []*pending
}

// pending is a script that waits for a pipeline.
type pending struct {
	cmd   *redis.Cmd // not the caller's, who may have gone
	joint bool
	done  chan struct{}
}

// ProcessHook sends a script at once if a pipeline is free, and else with others.
func (g *pipeliner) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		script, ok := cmd.(*redis.Cmd)
		if !ok || cmd.Name() != "evalsha" {
			return next(ctx, cmd)
		}
		l := &g.plain
		if needsAck(ctx) {
			l = &g.acked
		}
		l.mu.Lock()
		if l.busy < pipelines {
			l.busy++
			l.mu.Unlock()
			defer g.free(l)
			return next(ctx, cmd)
		}
		w := &pending{cmd: redis.NewCmd(context.WithoutCancel(ctx), cmd.Args()...), joint: ctx.Value(jointKey{}) != nil, done: make(chan struct{})}
		l.waiting = append(l.waiting, w)
		l.mu.Unlock()
		select {
		case <-w.done:
		case <-ctx.Done():
			// It may be on its way: whether it ran is not known, as if the connection broke.
			cmd.SetErr(ctx.Err())
			return ctx.Err()
		}
		script.SetVal(w.cmd.Val())
		cmd.SetErr(w.cmd.Err())
		return w.cmd.Err()
	}
}

// free gives a pipeline to the scripts that wait, if there are any.
func (g *pipeliner) free(l *scriptQueue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.busy--
		return
	}
	go g.send(l, l.takeLocked())
}

func (l *scriptQueue) takeLocked() []*pending {
	n := min(len(l.waiting), pipelineMost)
	some := l.waiting[:n:n]
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil // lets the array go
	}
	return some
}

// send sends scripts on a pipeline, and then those that came meanwhile.
func (g *pipeliner) send(l *scriptQueue, some []*pending) {
	ctx := context.Background()
	if l == &g.acked {
		ctx = Acknowledged(ctx)
	}
	for len(some) > 0 {
		g.exec(ctx, join(some))
		for _, w := range some {
			close(w.done)
		}
		l.mu.Lock()
		if len(l.waiting) == 0 {
			l.busy--
		}
		some = l.takeLocked()
		l.mu.Unlock()
	}
}

// exec sends scripts as one pipeline. If some of the joined ones fail, it sends each of them again alone, for its own
// error.
func (g *pipeliner) exec(ctx context.Context, all []joined) {
	pipe := g.client.Pipeline()
	for _, j := range all {
		_ = pipe.Process(ctx, j.cmd) // queues it
	}
	Exec(ctx, pipe) // each script has its own error
	var alone []joined
	for _, j := range all {
		for _, w := range j.split() {
			alone = append(alone, joined{w.cmd, []*pending{w}})
		}
	}
	if len(alone) > 0 {
		g.exec(ctx, alone)
	}
}

type jointKey struct{}

// Joint marks scripts that may be joined, so that Redis begins one and not many. The first argument of such a script is
// how many arguments follow that do not depend on what it is run for; the others do, and so do its keys. If it is run
// for several at a time, it gets the keys and the other arguments of all of them, and its reply has one element for
// each. A nil element says that this one failed, and that the script was still run for the others.
func Joint(ctx context.Context) context.Context { return context.WithValue(ctx, jointKey{}, true) }

// joined is a command that runs scripts of the same text.
type joined struct {
	cmd *redis.Cmd
	of  []*pending
}

// join makes one command of all scripts that may be joined.
func join(some []*pending) []joined {
	var all []joined
	at := map[any]int{} // by the hash of the text
	for _, w := range some {
		hash := w.cmd.Args()[1]
		if i, ok := at[hash]; ok && w.joint {
			all[i].of = append(all[i].of, w)
			continue
		}
		if w.joint {
			at[hash] = len(all)
		}
		all = append(all, joined{w.cmd, []*pending{w}})
	}
	for i, j := range all {
		if len(j.of) > 1 {
			all[i].cmd = together(j.of)
		}
	}
	return all
}

// together returns one EVALSHA for all of them. The arguments that do not depend on them are those of the last one.
func together(of []*pending) *redis.Cmd {
	var same, keys, own []any
	for _, w := range of {
		all := w.cmd.Args()
		first := 3 + all[2].(int)
		rest := first + 1 + all[first].(int)
		same, keys, own = all[first:rest], append(keys, all[3:first]...), append(own, all[rest:]...)
	}
	head := []any{"evalsha", of[0].cmd.Args()[1], len(keys)}
	return redis.NewCmd(context.Background(), slices.Concat(head, keys, same, own)...)
}

// split gives each script its reply, and returns those that failed among others.
func (j joined) split() (failed []*pending) {
	if len(j.of) == 1 {
		return nil
	}
	replies, _ := j.cmd.Val().([]any)
	for i, w := range j.of {
		if i < len(replies) && replies[i] == nil {
			failed = append(failed, w)
			continue
		}
		if i < len(replies) {
			w.cmd.SetVal(replies[i : i+1 : i+1])
		}
		w.cmd.SetErr(j.cmd.Err()) // with a reply: too few replicas have it
	}
	return failed
}
