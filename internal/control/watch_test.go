package control_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"habilita/internal/control"
)

const often = time.Millisecond

func TestWatchYieldsChangesUntilSettled(t *testing.T) {
	w := newWorld(t)
	w.enqueue("one", "0001", token("aa"), "", 3)
	var succeeded []int
	for s, err := range w.op.Watch(w.ctx, "one", often) {
		if err != nil {
			t.Fatal(err)
		}
		succeeded = append(succeeded, s.Succeeded)
		if s.Settled != (s.Succeeded == 3) {
			t.Errorf("got %+v", s)
		}
		if !s.Settled {
			w.attempt(token("aa"), done)
		}
	}
	if !slices.Equal(succeeded, []int{0, 1, 2, 3}) {
		t.Errorf("got %v", succeeded)
	}
}

func TestWatchGoesOnAfterAnError(t *testing.T) {
	w := newWorld(t)
	w.enqueue("one", "0001", token("aa"), "", 1)
	w.redis.SetError("LOADING Redis is loading the dataset in memory")
	errs := 0
	for s, err := range w.op.Watch(w.ctx, "one", often) {
		if err != nil {
			if errs++; errs == 2 {
				w.redis.SetError("")
				w.attempt(token("aa"), giveUp)
			}
			continue
		}
		if !s.Settled || s.Failed != 1 {
			t.Errorf("got %+v", s)
		}
	}
	if errs < 2 {
		t.Errorf("%d errors were yielded", errs)
	}
}

func TestWaitSettled(t *testing.T) {
	w := newWorld(t)
	w.enqueue("one", "0001", token("aa"), "", 2)
	if s, err := w.op.WaitSettled(w.ctx, "one", often, 20*often, nil); !errors.Is(err, control.ErrNotSettled) || s.Total != 2 {
		t.Errorf("time-out: %+v, %v", s, err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	if _, err := w.op.WaitSettled(ctx, "one", often, 0, func(control.Status) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	s, err := w.op.WaitSettled(w.ctx, "one", often, 0, func(s control.Status) {
		if s.Open > 0 {
			w.attempt(token("aa"), done)
		}
	})
	if err != nil || !s.AllSucceeded() || s.Succeeded != 2 {
		t.Errorf("got %+v, %v", s, err)
	}
	var unknown *control.UnknownBatchError
	if _, err := w.op.WaitSettled(w.ctx, "nope", often, 0, nil); !errors.As(err, &unknown) {
		t.Errorf("unknown batch: %v", err)
	}
}

func TestWaitCall(t *testing.T) {
	w := newWorld(t)
	w.enqueue("", "0001", token("aa"), "", 2)
	key := func(n string) control.CallKey {
		return control.CallKey{ID: "solo-" + token("aa") + "-" + n, TokenID: token("aa")}
	}
	if r, err := w.op.WaitCall(w.ctx, key("0"), often, 20*often); !errors.Is(err, control.ErrNotSettled) || r.State != "queued" {
		t.Errorf("time-out: %+v, %v", r, err)
	}
	w.attempt(token("aa"), giveUp)
	if r, err := w.op.WaitCall(w.ctx, key("0"), often, 0); err != nil || r.State != "failed" {
		t.Errorf("failed: %+v, %v", r, err)
	}
	// The one behind it does not move without a person either.
	if r, err := w.op.WaitCall(w.ctx, key("1"), often, 0); err != nil || r.State != "queued" || r.Succeeded() {
		t.Errorf("behind: %+v, %v", r, err)
	}
	if _, err := w.op.WaitCall(w.ctx, key("7"), often, 0); err == nil {
		t.Error("an unknown call was found")
	}
}
