package tasks

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/engine"
)

// WorkerOptions set a worker up. Zero fields are the defaults of the settings of the same
// names, and all processes on one Redis must have the same time-outs and Quota.
type WorkerOptions struct {
	Options
	WolkvoxURL      string        // base of the vendor's address; "": https://wv{server}.wolkvox.com. Plain http for loopback only
	CallTimeout     time.Duration // longest time of a request; 0: 60 s
	VendorTimeout   time.Duration // longest time that the vendor may work on a request; 0: 60 s
	SlotMargin      time.Duration // from the grant until the request must be written; 0: 5 s
	Concurrency     int           // requests in flight of this worker; 0: 1,000
	MaxAttempts     int           // requests sent before a call is given up; 0: 12
	GiveUpAfter     time.Duration // how long the vendor's push-back may put a call off; 0: 24 h
	RetryMin        time.Duration // shortest back-off; 0: 1 s
	RetryMax        time.Duration // longest back-off; 0: 15 min
	Retention       time.Duration // how long a settled batch can be read; 0: 720 h
	ShutdownTimeout time.Duration // for requests in flight to end; 0: 75 s
	// ServerConcurrency is how many of Concurrency may be at one server of the vendor; 0: 64.
	ServerConcurrency int
	// Log has the worker's log lines. The zero Logger writes none.
	Log zerolog.Logger
	// Metrics has the worker's metrics until it ends. nil: none.
	Metrics prometheus.Registerer
	// RedisURL is for a Redis that Sentinels watch: redis-sentinel://host:26379/master. The
	// client given to NewWorker may be nil then. "": as the client.
	RedisURL string
}

// Worker makes the calls. Run it once. It is safe for concurrent use.
type Worker struct{ worker *engine.Worker }

// NewWorker makes a worker on the Redis of rdb. It makes connections of its own, with the
// address, credentials, TLS and dialer of rdb, but not its hooks; rdb stays yours to close.
//
// A *MismatchError says with which settings it disagrees with other processes, ErrTokenIDKey
// that tokens have other names there. ErrSentinel asks for RedisURL. Other errors are those of
// Redis, or say which option is wrong.
func NewWorker(ctx context.Context, rdb redis.UniversalClient, o WorkerOptions) (*Worker, error) {
	w, err := engine.NewWorker(ctx, engine.WorkerOptions{
		Options: o.Options.engine(), Redis: rdb, RedisURL: o.RedisURL, WolkvoxURL: o.WolkvoxURL,
		CallTimeout: o.CallTimeout, VendorTimeout: o.VendorTimeout, SlotMargin: o.SlotMargin, Concurrency: o.Concurrency,
		ServerConcurrency: o.ServerConcurrency,
		MaxAttempts:       o.MaxAttempts, GiveUpAfter: o.GiveUpAfter, RetryMin: o.RetryMin, RetryMax: o.RetryMax,
		Retention: o.Retention, ShutdownTimeout: o.ShutdownTimeout, Log: o.Log, Metrics: o.Metrics,
	})
	if err != nil {
		return nil, public(err)
	}
	return &Worker{w}, nil
}

// Run makes calls until ctx ends. Then it begins no call, lets those in flight end for up to
// ShutdownTimeout, closes the worker, and returns nil. An error says that it had to stop: a
// *MismatchError or ErrTokenIDKey.
func (w *Worker) Run(ctx context.Context) error { return public(w.worker.Run(ctx)) }

// Ready says why the worker makes no calls now, or nil. It asks Redis at most once a second;
// ctx bounds the wait for its answer.
func (w *Worker) Ready(ctx context.Context) error { return public(w.worker.Ready(ctx)) }

// Close ends a worker that was not run. Run closes it otherwise.
func (w *Worker) Close() error { return w.worker.Close() }
