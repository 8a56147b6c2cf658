package localrun

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/engine"
	"habilita/internal/localrun/inproc"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/vault"
)

// The Redis inside the process can't be away: a job on a busy machine waits for its answers.
func TestRedisInsideIsWaitedFor(t *testing.T) {
	listens, err := inproc.Listen()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*inproc.Redis{inproc.Open(), listens} {
		defer r.Close()
		c, err := redisconn.Open(r.URL(), redisconn.Options{Dialer: r.Dial})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if one, ok := c.(*redis.Client); !ok || one.Options().ReadTimeout < time.Minute {
			t.Errorf("%v", c)
		}
	}
}

// To find out what calls wait for, every chain is read. That is not done for a job that has only begun.
func TestFollowAsksWhyIfNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := vault.GenerateKey("x")
		if err != nil {
			t.Fatal(err)
		}
		w, err := OpenWorld(t.Context(), inproc.Open(), engine.WorkerOptions{
			Options:    engine.Options{Keys: key, Quota: quota.Settings{Location: time.UTC, Guard: time.Millisecond, Lease: 3 * time.Minute}},
			WolkvoxURL: "http://127.0.0.1:1", CallTimeout: time.Minute, VendorTimeout: time.Minute, SlotMargin: time.Minute, RetryMin: time.Second, RetryMax: time.Minute,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if _, err := w.Producer.EnqueueBatch(t.Context(), "b", unnamed(10, 5), engine.BatchOptions{}); err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		began := time.Now()
		_, err = w.Follow(ctx, "b", false, func(s State) {
			if now := time.Since(began); (s.Waiting != nil) != (now >= time.Second/4) {
				t.Errorf("after %v: %v", now, s.Waiting)
			}
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
