package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// task is the asynq task of a dispatch.
func task(t *testing.T, f ledger.Dispatch) *asynq.Task {
	t.Helper()
	body, err := json.Marshal(payload{Version: payloadVersion, Chain: f.Chain, Dispatch: f.Number})
	if err != nil {
		t.Fatal(err)
	}
	return asynq.NewTask(TypeRun, body)
}

// asynq hands out more tasks than there are places, once it has given up those whose lease
// ended. Still no more requests are in flight than places, and a shutdown waits for all of
// them, though asynq knows of none.
func TestPlacesAreOurOwn(t *testing.T) {
	const most, more = 2, 3
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), func(o *WorkerOptions) {
		o.Concurrency, o.ShutdownTimeout = most, time.Minute
	})
	there, answer := make(chan struct{}, most+more), make(chan struct{})
	w.vendor.before = func() { there <- struct{}{}; <-answer }
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	until(t, "a worker that takes calls", w.taking.Load)
	var ids []string
	handled := make(chan error, most+more)
	for i := range most + more {
		id := w.append(fmt.Sprintf("token-%d", i), "a")
		ids = append(ids, id)
		f := w.dispatch(id)
		go func() { handled <- w.handle(t.Context(), task(t, f)) }()
	}
	for range most {
		<-there
	}
	select {
	case <-there:
		t.Errorf("more than %d requests are in flight", most)
	case <-time.After(200 * time.Millisecond):
	}

	stop()
	for range more { // those that wait for a place do not begin
		if err := <-handled; err != nil {
			t.Error(err)
		}
	}
	select {
	case <-done:
		t.Error("the worker ended with requests in flight")
	case <-time.After(200 * time.Millisecond):
	}
	close(answer)
	if err := <-done; err != nil {
		t.Error(err)
	}
	again := openWorld(t, "redis://"+m.Addr(), w.o.Keys, nil).closing()
	succeeded, ready := 0, 0
	for _, id := range ids {
		switch again.call(id).State {
		case ledger.StateSucceeded:
			succeeded++
		case ledger.StateQueued:
			ready++
		}
	}
	if succeeded != most || ready != more {
		t.Errorf("%d calls succeeded and %d wait, want %d and %d", succeeded, ready, most, more)
	}
}

// A worker that is told to stop ends in time although Redis hangs, whatever it is doing.
func TestStopsInTimeThoughRedisHangs(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]bool{"idle": false, "with an outcome to record": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			w := openWorld(t, s.URL, testKey(t), func(o *WorkerOptions) {
				o.ShutdownTimeout, o.ReconcileInterval = 2*time.Second, 50*time.Millisecond
			})
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- w.Run(ctx) }()
			until(t, "a worker that takes calls", w.taking.Load)
			answer := make(chan struct{})
			if busy {
				asked := make(chan struct{})
				w.vendor.before = func() { close(asked); <-answer }
				w.append("token-1", "a")
				<-asked
			}
			s.Pause()
			t.Cleanup(s.Resume)
			close(answer)
			wait(t.Context(), 300*time.Millisecond) // for the loops to be in the middle of a command
			began := time.Now()
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if took, most := time.Since(began), w.o.ShutdownTimeout+10*time.Second; took > most {
				t.Errorf("it took %s, want %s at most", took, most)
			}
		})
	}
}

// The request that a shutdown cuts off has an outcome, which is recorded.
func TestCutOffRequestIsRecorded(t *testing.T) {
	t.Parallel()
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), func(o *WorkerOptions) {
		o.ShutdownTimeout, o.ReconcileInterval = 1500*time.Millisecond, 50*time.Millisecond
	})
	hanging := &hangingVendor{asked: make(chan struct{}, 1)}
	w.runner.vendor = hanging
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	until(t, "a worker that takes calls", w.taking.Load)
	id := w.append("token-1", "a")
	<-hanging.asked
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	again := openWorld(t, "redis://"+m.Addr(), w.o.Keys, nil).closing()
	if c := again.call(id); c.State != ledger.StateWaiting || c.Error == "" {
		t.Errorf("the call is %s, %q; want waiting after an unknown outcome", c.State, c.Error)
	}
}
