package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/vault"
)

// Inside is habilita in the test's process: quick to start, and on any Redis, even miniredis.
// Its worker ends with the test.
type Inside struct {
	Producer *engine.Producer
	Worker   *engine.Worker
	Operator *control.Control
	// Stop ends the worker as SIGTERM does, and returns what Run returned.
	Stop func() error
}

// StartInside starts a producer and a worker. Options that are zero get short times for tests.
func StartInside(tb testing.TB, redisURL, vendorURL string, o engine.WorkerOptions) *Inside {
	tb.Helper()
	fatal := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	ctx := context.Background()
	o.RedisURL, o.WolkvoxURL = redisURL, vendorURL
	if o.Keys == "" {
		key, err := vault.GenerateKey("inside")
		fatal(err)
		o.Keys = key
	}
	short := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	short(&o.CallTimeout, time.Second)
	short(&o.VendorTimeout, time.Second)
	short(&o.SlotMargin, time.Second)
	short(&o.RetryMin, 20*time.Millisecond)
	short(&o.RetryMax, 200*time.Millisecond)
	short(&o.ShutdownTimeout, 10*time.Second)
	short(&o.Quota.Guard, time.Millisecond)
	if o.Log.GetLevel() == zerolog.DebugLevel { // the zero value
		o.Log = zerolog.New(zerolog.NewTestWriter(tb)).Level(zerolog.ErrorLevel)
	}
	rdb, err := redisconn.Open(redisURL, redisconn.Options{})
	fatal(err)
	in := &Inside{}
	in.Worker, err = engine.NewWorker(ctx, o)
	fatal(err)
	in.Producer, err = engine.NewProducer(ctx, rdb, o.Options)
	fatal(err)
	in.Operator, err = control.Open(rdb, o.Prefix, quota.Settings{})
	fatal(err)
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- in.Worker.Run(run) }()
	var result error
	ended := false
	in.Stop = func() error {
		stop()
		if !ended {
			result, ended = <-done, true
		}
		return result
	}
	tb.Cleanup(func() {
		if err := in.Stop(); err != nil {
			tb.Errorf("worker: %v", err)
		}
		_ = in.Producer.Close()
		_ = rdb.Close()
	})
	return in
}

// EnqueueAll enqueues n calls as a batch; call makes the call with a number.
func (in *Inside) EnqueueAll(tb testing.TB, batch string, n int, call func(i int) engine.Call) {
	tb.Helper()
	sum, err := in.Producer.EnqueueBatch(tb.Context(), batch, func(yield func(engine.Call, error) bool) {
		for i := range n {
			if !yield(call(i), nil) {
				return
			}
		}
	}, engine.BatchOptions{})
	if err != nil || sum.Enqueued != n {
		tb.Fatalf("%+v, %v", sum, err)
	}
}

// Settled waits until nothing more happens to a batch without a person.
func (in *Inside) Settled(tb testing.TB, batch string) control.Status {
	tb.Helper()
	st, err := in.Operator.WaitSettled(context.Background(), batch, Patience)
	if err != nil {
		tb.Fatalf("%v: %+v", err, st)
	}
	return st
}
