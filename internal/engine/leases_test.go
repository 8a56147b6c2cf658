package engine

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"habilita/internal/testkit/redistest"
)

// A task that has lost its lease leaves asynq's list of active tasks. One that has its lease, or
// that this process runs, is left alone.
func TestTaskWithoutALeaseLeavesTheActiveOnes(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		const queue, prefix = "habilita", "asynq:{habilita}:"
		client := asynq.NewClientFromRedisClient(b.Client)
		for _, id := range []string{"lost", "leased", "here"} {
			_, err := client.Enqueue(asynq.NewTask("t", nil), asynq.Queue(queue), asynq.TaskID(id), asynq.MaxRetry(5))
			if err != nil {
				t.Fatal(err)
			}
			// As asynq's dequeue does.
			b.Client.LMove(ctx, prefix+"pending", prefix+"active", "RIGHT", "LEFT")
			b.Client.HSet(ctx, prefix+"t:"+id, "state", "active")
		}
		in := time.Now().Add(time.Hour).Unix()
		b.Client.Do(ctx, "zadd", prefix+"lease", in, "leased")
		var here sync.Map
		here.Store("here", nil)
		l := &leases{rdb: b.Client, queues: []string{queue}, here: &here}
		for i, want := range []int{0, 1, 0} {
			if n, err := l.look(ctx); n != want || err != nil {
				t.Fatalf("look %d mended %d, %v", i+1, n, err)
			}
		}
		if s := b.Client.ZScore(ctx, prefix+"lease", "leased").Val(); s != float64(in) {
			t.Errorf("the lease that is there ends at %v", s)
		}
		ran := make(chan string, 3)
		server := asynq.NewServerFromRedisClient(b.Client, asynq.Config{
			Concurrency: 1, Queues: map[string]int{queue: 1}, TaskCheckInterval: 10 * time.Millisecond,
			DelayedTaskCheckInterval: 10 * time.Millisecond, LogLevel: asynq.FatalLevel,
			RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return 0 },
		})
		err := server.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error {
			ran <- t.ResultWriter().TaskID()
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		select {
		case id := <-ran:
			if id != "lost" {
				t.Errorf("asynq took %s back", id)
			}
		case <-ctx.Done():
			t.Error("asynq did not take the task back")
		}
		server.Shutdown() // waits for the end of the task
		if active := b.Client.LRange(ctx, prefix+"active", 0, -1).Val(); len(active) != 2 {
			t.Errorf("active: %v", active)
		}
	})
}

// A task that lacked its lease at only one look has just begun or ended.
func TestOneLookMendsNoLease(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		ctx := t.Context()
		l := &leases{rdb: b.Client, queues: []string{"q"}, here: new(sync.Map)}
		for i := range 4 {
			key := "asynq:{q}:active"
			if i%2 == 0 {
				b.Client.LPush(ctx, key, "a")
			} else {
				b.Client.Del(ctx, key)
			}
			if n, err := l.look(ctx); n != 0 || err != nil {
				t.Errorf("look %d mended %d, %v", i+1, n, err)
			}
		}
		b.Client.LPush(ctx, "asynq:{q}:active", "b")
		for range 3 {
			l.forget()
			if n, err := l.look(ctx); n != 0 || err != nil {
				t.Errorf("mended %d, %v", n, err)
			}
		}
	})
}
