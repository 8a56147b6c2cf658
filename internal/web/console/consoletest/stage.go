// Package consoletest sets up the console with everything behind it, in one process: an
// in-process Redis, a simulated wolkvox, and a worker. It is for the console's tests, and
// for those of package e2e/browser, which look at it in a Chromium.
package consoletest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/breaker"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/membership"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
	"habilita/internal/testkit/wolkvoxtest"
	"habilita/internal/vault"
	"habilita/internal/web/console"
	"habilita/internal/web/guard"
)

// Options of a stage. The zero value has a worker and nobody but "local" looking.
type Options struct {
	// Vendor are those of the simulator.
	Vendor wolkvoxtest.Options
	// NoWorker leaves the worker out.
	NoWorker bool
	// Who looks; the zero value is one who may write.
	Who guard.Principal
}

// Stage is all of it. Close it.
type Stage struct {
	URL       string
	Vendor    *wolkvoxtest.Server
	Redis     *miniredis.Miniredis
	Client    redis.UniversalClient
	Producer  *engine.Producer
	Control   *control.Control
	Actions   *control.AuditLog
	Schedules *schedule.Store
	Health    *breaker.Store
	Console   *console.Console

	closers []func() error // the last one first
}

// Open sets up a stage.
func Open(ctx context.Context, o Options) (_ *Stage, err error) {
	s := &Stage{Redis: miniredis.NewMiniRedis()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.Redis.Start(); err != nil {
		return nil, err
	}
	s.later(func() error { s.Redis.Close(); return nil })
	if s.Vendor, err = wolkvoxtest.Listen("127.0.0.1:0", o.Vendor); err != nil {
		return nil, err
	}
	s.later(func() error { s.Vendor.Close(); return nil })
	url := "redis://" + s.Redis.Addr() + "/0"
	if s.Client, err = redisconn.Open(url, redisconn.Options{}); err != nil {
		return nil, err
	}
	s.later(s.Client.Close)
	key, err := vault.GenerateKey("stage")
	if err != nil {
		return nil, err
	}
	zone := o.Vendor.Location
	if zone == nil {
		zone = time.FixedZone("America/Bogota", -5*60*60)
	}
	opts := engine.Options{Keys: key, Quota: quota.Settings{Guard: time.Millisecond, Location: zone, Lease: 61 * time.Second}}
	if s.Producer, err = engine.NewProducer(ctx, s.Client, opts); err != nil {
		return nil, err
	}
	s.later(s.Producer.Close)
	if s.Control, err = control.Open(s.Client, "", opts.Quota); err != nil {
		return nil, err
	}
	if !o.NoWorker {
		if err := s.work(ctx, url, opts); err != nil {
			return nil, err
		}
	}
	s.Actions = control.NewAuditLog(s.Client, quota.DefaultPrefix)
	s.Schedules = schedule.NewStore(s.Client, quota.DefaultPrefix)
	s.Health = breaker.New(s.Client, quota.DefaultPrefix)
	return s, s.serve(o.Who, zone)
}

func (s *Stage) later(f func() error) { s.closers = append(s.closers, f) }

// Close ends all of it, the last begun first.
func (s *Stage) Close() error {
	var errs []error
	for _, end := range slices.Backward(s.closers) {
		errs = append(errs, end())
	}
	s.closers = nil
	return errors.Join(errs...)
}

func (s *Stage) work(ctx context.Context, url string, o engine.Options) error {
	w, err := engine.NewWorker(ctx, engine.WorkerOptions{
		Options: o, RedisURL: url, WolkvoxURL: s.Vendor.URL,
		CallTimeout: time.Minute, VendorTimeout: time.Minute, SlotMargin: time.Second,
		RetryMin: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond, MaxAttempts: 3,
		Concurrency: 16, ShutdownTimeout: time.Minute, Log: zerolog.Nop(),
	})
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- w.Run(run) }()
	s.later(func() error { stop(); return <-done })
	return nil
}

// serve serves the console as the worker does.
func (s *Stage) serve(who guard.Principal, zone *time.Location) error {
	s.Console = console.New(console.Options{
		Control: s.Control, Processes: membership.New(s.Client, quota.DefaultPrefix), Schedules: s.Schedules, Servers: s.Health, Location: zone,
	})
	if who == (guard.Principal{}) {
		who = guard.Principal{Name: "local", CanWrite: true}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	closing, shutDown := context.WithCancel(context.Background())
	srv := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.Console.ServeHTTP(w, r.WithContext(guard.With(r.Context(), who)))
		}),
		BaseContext: func(net.Listener) context.Context { return guard.WithClosing(context.Background(), closing) },
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(l) })
	s.URL = "http://" + l.Addr().String()
	s.later(func() error {
		shutDown()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err := srv.Shutdown(ctx)
		serving.Wait()
		s.Console.Close()
		return err
	})
	return nil
}

// Server gives a server this many recent requests and failures, in the form that package
// breaker keeps; state is closed, open or half_open.
func (s *Stage) Server(ctx context.Context, name, state string, requests, failures int) error {
	now, err := s.Client.Time(ctx).Result()
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`{"state":%q,"since":%d,"next":%d,"run":%d,"w":%d,"req":%d,"fail":%d,"preq":0,"pfail":0,"step":2000,"chains":""}`,
		state, now.Add(-40*time.Second).UnixMilli(), now.Add(25*time.Second).UnixMilli(), min(failures, 7),
		now.UnixMilli()/breaker.Window.Milliseconds(), requests, failures)
	return s.Client.HSet(ctx, quota.DefaultPrefix+":{health}:servers", name, text).Err()
}

// Use sets how many requests a token has used today. A call of it must have been made.
func (s *Stage) Use(tokenID string, n int) error {
	for _, key := range s.Redis.Keys() {
		if strings.Contains(key, ":used:"+tokenID+":") {
			return s.Redis.Set(key, strconv.Itoa(n))
		}
	}
	return fmt.Errorf("no request of token %s was counted", tokenID)
}
