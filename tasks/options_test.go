package tasks_test

import (
	"context"
	"errors"
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
	rdb := primary.Client()
	waits, plain := open(t, rdb, tasks.Options{WaitReplicas: 1}), open(t, primary.Client(), tasks.Options{})
	call := tasks.Call{Server: "1", Token: "tok-a", ID: "a1", Batch: "b"}
	if _, err := waits.Enqueue(ctx, call); err == nil {
		t.Error("a call that no replica has was accepted")
	}
	if _, err := plain.Enqueue(ctx, tasks.Call{Server: "1", Token: "tok-a", ID: "a2", Batch: "b"}); err != nil {
		t.Error(err)
	}
	if _, err := open(t, rdb, tasks.Options{}).Enqueue(ctx, tasks.Call{Server: "1", Token: "tok-b", Batch: "c"}); err == nil || !strings.Contains(err.Error(), "WAIT_REPLICAS") {
		t.Errorf("a client on the same Redis client does not wait, as the GoDoc says: %v", err)
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

// An option that is empty or has no function means none, and takes the place of an earlier one. A client or a
// sequence that is nil is refused by name.
func TestNothingGiven(t *testing.T) {
	t.Parallel()
	rdb := redistest.Shared(t).Client
	c := open(t, rdb, tasks.Options{})
	rows := []tasks.Call{{Server: "1", Token: "tok-a", ID: "a"}, {Server: "2", Token: "tok-a", ID: "a"}}
	called := func(error) error { t.Error("an option that was replaced is used"); return nil }
	none := []tasks.BatchOption{
		{}, tasks.OnReject(called), tasks.OnLeftOut(called), tasks.OnProgress(func(tasks.Summary) { _ = called(nil) }), tasks.OnCanary(func(tasks.Canaries) { _ = called(nil) }),
		tasks.OnReject(nil), tasks.OnLeftOut(nil), tasks.OnProgress(nil), tasks.OnCanary(nil),
	}
	if sum, err := c.EnqueueBatch(t.Context(), "b", sequence(rows...), none...); err != nil || sum.Enqueued != 1 || sum.Conflicts != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	var wrong *tasks.CallError
	if _, err := c.EnqueueBatch(t.Context(), "b", sequence(tasks.Call{}), none...); !errors.As(err, &wrong) {
		t.Errorf("a call that is not valid: %v", err)
	}
	_, noSequence := c.EnqueueBatch(t.Context(), "b", nil)
	_, noClient := tasks.Open(t.Context(), nil, tasks.Options{Keys: keys})
	_, noRedis := tasks.NewWorker(t.Context(), nil, tasks.WorkerOptions{Options: tasks.Options{Keys: keys}})
	for want, err := range map[string]error{"needs a sequence": noSequence, "Open needs a Redis client": noClient, "NewWorker needs a Redis client": noRedis} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// A sequence that gives nothing makes no batch, as the GoDoc of EnqueueBatch says.
func TestBatchOfNothing(t *testing.T) {
	t.Parallel()
	c := open(t, redistest.Shared(t).Client, tasks.Options{})
	if sum, err := c.EnqueueBatch(t.Context(), "b", sequence()); err != nil || sum.Rows != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	var unknown *tasks.UnknownError
	if _, err := c.Wait(t.Context(), "b"); !errors.As(err, &unknown) || unknown.Batch != "b" {
		t.Errorf("Wait: %v", err)
	}
}
