package tasks_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"habilita/internal/testkit/redistest"
	"habilita/tasks"
	"habilita/tasks/taskstest"
)

// With WaitReplicas, a call is accepted only once a replica has it, and its request is sent only once
// a replica has its grant.
func TestWaitReplicas(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	waits, plain := open(t, primary.Client(), tasks.Options{WaitReplicas: 1}), open(t, primary.Client(), tasks.Options{})
	call := tasks.Call{Server: "1", Token: "tok-a", ID: "a1", Batch: "b"}
	if _, err := waits.Enqueue(ctx, call); err == nil {
		t.Error("a call that no replica has was accepted")
	}
	if _, err := plain.Enqueue(ctx, tasks.Call{Server: "1", Token: "tok-a", ID: "a2", Batch: "b"}); err != nil {
		t.Error(err)
	}
	vendor := taskstest.Start(t, taskstest.Options{})
	w := run(t, primary.Client(), tasks.WorkerOptions{Options: tasks.Options{WaitReplicas: 1}, WolkvoxURL: vendor.URL})
	for err := w.Ready(ctx); err == nil || !strings.Contains(err.Error(), "WAIT_REPLICAS"); err = w.Ready(ctx) {
		select {
		case <-ctx.Done():
			t.Fatal("the worker does not say that it waits for replicas: ", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if n := len(vendor.Account().Requests); n != 0 {
		t.Errorf("%d requests without a replica", n)
	}
	redistest.Start(t).Follow(primary)
	for _, err := waits.Enqueue(ctx, call); err != nil; _, err = waits.Enqueue(ctx, call) { // until the replica has its first copy
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	if s, err := waits.Wait(ctx, "b"); err != nil || s.Succeeded != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

// Queues spreads chains over queues of asynq, for clients and workers alike.
func TestQueues(t *testing.T) {
	t.Parallel()
	rdb := redistest.Shared(t).Client
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o := tasks.Options{Queues: 4}
	c := open(t, rdb, o)
	for i := range 40 {
		if _, err := c.Enqueue(ctx, tasks.Call{Server: "1", Token: tasks.Token(fmt.Sprint("tok-", i)), Batch: "b"}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := rdb.SCard(ctx, "asynq:queues").Result(); err != nil || n != 4 {
		t.Errorf("%d queues, %v", n, err)
	}
	run(t, rdb, tasks.WorkerOptions{Options: o, WolkvoxURL: taskstest.Start(t, taskstest.Options{}).URL})
	if s, err := c.Wait(ctx, "b"); err != nil || s.Succeeded != 40 {
		t.Errorf("%+v, %v", s, err)
	}
}

// Clients and workers refuse a number that is out of range, and name the option.
func TestOptionsOutOfRange(t *testing.T) {
	t.Parallel()
	rdb := redistest.Shared(t).Client
	for want, o := range map[string]tasks.Options{
		"WaitReplicas is -1":  {WaitReplicas: -1},
		"WaitReplicas is 101": {WaitReplicas: 101},
		"Queues is -1":        {Queues: -1},
		"Queues is 65":        {Queues: 65},
	} {
		o.Keys = keys
		if _, err := tasks.Open(t.Context(), rdb, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: a client: %v", want, err)
		}
		if _, err := tasks.NewWorker(t.Context(), rdb, tasks.WorkerOptions{Options: o}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: a worker: %v", want, err)
		}
	}
}
