package control_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
)

func TestWaitSettled(t *testing.T) {
	w := newWorld(t)
	w.enqueue("one", "0001", token("aa"), "", 3)
	if _, err := w.op.WaitSettled(w.ctx, "one", 20*time.Millisecond); !errors.Is(err, control.ErrNotSettled) {
		t.Errorf("time-out: %v", err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	w.rdb.AddHook(&failing{well: 3, then: cancel})
	if s, err := w.op.WaitSettled(ctx, "one", 0); !errors.Is(err, context.Canceled) || s.Total != 3 {
		t.Errorf("cancelled: %+v, %v", s, err)
	}
	w.rdb.AddHook(&failing{well: 1, then: func() {
		for range 3 {
			w.attempt(token("aa"), done)
		}
	}})
	if s, err := w.op.WaitSettled(w.ctx, "one", 0); err != nil || !s.AllSucceeded() {
		t.Errorf("%+v, %v", s, err)
	}
	var unknown *control.UnknownError
	if _, err := w.op.WaitSettled(w.ctx, "nope", 0); !errors.As(err, &unknown) {
		t.Errorf("unknown batch: %v", err)
	}
}

// failing answers some commands with an error, lets some pass, and calls then before the next one.
type failing struct {
	shardDown
	left, well int
	then       func()
}

func (f *failing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		switch f.left--; {
		case f.left >= 0:
			for _, c := range cmds {
				c.SetErr(errDown)
			}
			return errDown
		case f.left == -1-f.well:
			f.then()
		}
		return next(ctx, cmds)
	}
}

// A wait goes on if Redis is away for a moment.
func TestWaitGoesOnAfterAnError(t *testing.T) {
	w := newWorld(t)
	w.enqueue("one", "0001", token("aa"), "", 1)
	f := &failing{left: 2, then: func() { w.attempt(token("aa"), giveUp) }}
	w.rdb.AddHook(f)
	if s, err := w.op.WaitSettled(w.ctx, "one", 0); err != nil || !s.Settled || s.Failed != 1 || f.left >= 0 {
		t.Errorf("%+v, %v, %d errors left", s, err, f.left)
	}
}

func TestWaitCall(t *testing.T) {
	w := newWorld(t)
	w.enqueue("", "0001", token("aa"), "", 2)
	key := func(n string) control.CallKey {
		return control.CallKey{ID: "solo-" + token("aa") + "-" + n, TokenID: token("aa")}
	}
	if _, err := w.op.WaitCall(w.ctx, key("0"), 20*time.Millisecond); !errors.Is(err, control.ErrNotSettled) {
		t.Errorf("time-out: %v", err)
	}
	w.attempt(token("aa"), giveUp)
	if r, err := w.op.WaitCall(w.ctx, key("0"), 0); err != nil || r.State != "failed" {
		t.Errorf("failed: %+v, %v", r, err)
	}
	// The one behind it does not move without a person either.
	if r, err := w.op.WaitCall(w.ctx, key("1"), 0); err != nil || r.State != "queued" || r.Succeeded() {
		t.Errorf("behind: %+v, %v", r, err)
	}
	if _, err := w.op.WaitCall(w.ctx, key("7"), 0); err == nil {
		t.Error("an unknown call was found")
	}
}
