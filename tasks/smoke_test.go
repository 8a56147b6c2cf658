package tasks

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/vault"
	"habilita/internal/wolkvox/wolkvoxtest"
)

func TestSmoke(t *testing.T) {
	url := os.Getenv("SMOKE_REDIS")
	if url == "" {
		m := miniredis.RunT(t)
		url = "redis://" + m.Addr()
	}
	sim := wolkvoxtest.Start(t, wolkvoxtest.Options{Latency: 5 * time.Millisecond})
	key, _ := vault.GenerateKey("k1")
	opt, _ := redis.ParseURL(url)
	rdb := redis.NewClient(opt)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	o := Options{Keys: key}
	w, err := NewWorker(ctx, WorkerOptions{Options: o, RedisURL: url, WolkvoxURL: sim.URL, Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	wctx, stop := context.WithCancel(ctx)
	go func() { done <- w.Run(wctx) }()
	p, err := NewProducer(ctx, rdb, o)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	n := 2000
	sum, err := p.EnqueueBatch(ctx, "b1", func(yield func(Call, error) bool) {
		for i := range n {
			if !yield(Call{Server: "1", Token: fmt.Sprintf("tok%d", i%100), Licenses: 2}, nil) {
				return
			}
		}
	})
	t.Logf("%+v %v", sum, err)
	err = sim.Wait(ctx, func(a wolkvoxtest.Account) bool { return len(a.Successes()) >= n })
	acc := sim.Account()
	t.Logf("took %v %v: max %d dup %d", time.Since(start), err, acc.MaxInFlight(), len(acc.DuplicateSuccesses()))
	stop()
	t.Log(<-done)
	p.Close()
}
