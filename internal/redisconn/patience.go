package redisconn

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/redis/go-redis/v9"
)

// patientFor is how long a patient client tries again: twice the 10 s of a quick failover.
const patientFor = 20 * time.Second

// MakePatient makes a client repeat, for some 20 s, commands that failed for a reason that
// passes: a connection, a failover, a start. Use it only if all commands may be carried out
// twice. In a pipeline, the commands that failed are repeated; a transaction as a whole. Call it
// before the client is shared: it does not affect commands that were sent before.
func MakePatient(rdb redis.UniversalClient) {
	p := patience{most: patientFor, passes: passes}
	// A cluster's client learns of a failover from answers that say MOVED; a master that is
	// gone says nothing.
	if c, ok := rdb.(*redis.ClusterClient); ok {
		p.failed = c.ReloadState
	}
	rdb.AddHook(p)
}

// patience is a go-redis hook.
type patience struct {
	PlainHook
	most   time.Duration
	passes func(error) bool
	failed func(context.Context) // told of each failure; may be nil
}

// ProcessHook repeats one command.
func (p patience) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		t := p.begin()
		err := next(ctx, cmd)
		for p.passes(err) && t.again(ctx) {
			restore := keepReply(cmd)
			cmd.SetErr(nil)
			err = next(ctx, cmd)
			restore()
		}
		return err
	}
}

// ProcessPipelineHook repeats the commands of a pipeline that failed. Each command has its own
// error, such as that of a script or a write at a node that is no longer the master.
func (p patience) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		t := p.begin()
		err := next(ctx, cmds)
		for left := p.unfinished(cmds); len(left) > 0 && t.again(ctx); left = p.unfinished(left) {
			restores := make([]func(), len(left))
			for i, c := range left {
				restores[i] = keepReply(c)
				c.SetErr(nil)
			}
			if err = next(ctx, left); err == nil || errors.Is(err, redis.Nil) {
				err = FirstError(cmds)
			}
			for _, restore := range restores {
				restore()
			}
		}
		return err
	}
}

// keepReply keeps the answer of a script that was carried out, but not acknowledged by replicas. If the script is
// sent again for their acknowledgement, it finds its own work done, and would answer so. restore puts the answer
// back, unless the script failed since.
func keepReply(cmd redis.Cmder) (restore func()) {
	script, ok := cmd.(*redis.Cmd)
	if !ok || !Unreplicated(cmd.Err()) {
		return func() {}
	}
	reply := script.Val()
	return func() {
		if script.Err() == nil || Unreplicated(script.Err()) {
			script.SetVal(reply)
		}
	}
}

// unfinished returns the commands to be sent again.
func (p patience) unfinished(cmds []redis.Cmder) []redis.Cmder {
	var left []redis.Cmder
	for _, c := range cmds {
		if p.passes(c.Err()) {
			left = append(left, c)
		}
	}
	if len(left) > 0 && cmds[0].Name() == "multi" {
		return cmds
	}
	return left
}

// FirstError returns the error of the first command that has one.
func FirstError[C redis.Cmder](cmds []C) error {
	for _, c := range cmds {
		if err := c.Err(); err != nil {
			return err
		}
	}
	return nil
}

// passes reports whether an error ends by itself, even with a single Redis: somebody starts it again.
func passes(err error) bool {
	return err != nil && (Unreplicated(err) || Passing(err, true) || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, io.ErrUnexpectedEOF) ||
		begins(err, "NOREPLICAS"))
}

func (p patience) begin() *tries {
	return &tries{patience: p, until: time.Now().Add(p.most), pause: 10 * time.Millisecond}
}

// tries are those of one command or pipeline.
type tries struct {
	patience
	until time.Time
	pause time.Duration // doubles up to half a second
}

// again waits, and reports whether to try again.
func (t *tries) again(ctx context.Context) bool {
	if ctx.Err() != nil || time.Now().After(t.until) {
		return false
	}
	if t.failed != nil {
		t.failed(ctx)
	}
	pause := t.pause
	t.pause = min(2*pause, time.Second/2)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// movingFor is how long a client of a cluster tries again while a hash slot is being moved. It is many
// times what a bucket takes. It is short enough that a slot which is left open does not hold up the
// other commands of a pipeline for long.
const movingFor = time.Second

// moving reports whether a command ran on neither node, since its slot is being moved from the one
// to the other.
func moving(err error) bool {
	return begins(err, "TRYAGAIN", "ASK", "MOVED")
}
