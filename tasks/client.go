package tasks

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/trace"

	"habilita/internal/control"
	"habilita/internal/engine"
	limits "habilita/internal/quota"
	"habilita/quota"
)

// Options are the settings that clients and workers have in common.
type Options struct {
	// Keys are the sealing keys, "id:base64 of 32 bytes", comma separated: the first one seals,
	// all open. Required; `enqueue keygen` prints one.
	Keys string
	// Prefix begins all keys in Redis: letters, digits and ".:_-". "": "habilita", as in the
	// commands. Programs with different prefixes share nothing.
	Prefix string
	// Quota has the limits of a token; its Prefix is ignored. A worker computes the Lease from its
	// time-outs. Zero fields mean the defaults. In a client's limiter they mean the values of the
	// workers that run, if any.
	Quota quota.Settings
	// Tracer makes spans for enqueueing, runs and attempts. nil: none.
	Tracer trace.TracerProvider
	// WaitReplicas is how many replicas must have a grant, an outcome or a new call before it
	// counts, so that it is not lost when another node takes over. 0 to 100; 0: none. Once a Client
	// was opened with a number, every Client on the same rdb waits for replicas, even after that one
	// was closed. Clients that want different numbers need Redis clients of their own.
	WaitReplicas int
	// Queues is the number of asynq queues that share the chains, 1 to 64; 0: 1. Several queues
	// spread the load over the nodes of a cluster. Processes may use different numbers.
	Queues int
}

func (o Options) engine() engine.Options {
	return engine.Options{
		Keys: o.Keys, Prefix: o.Prefix, Tracer: o.Tracer, Quota: limits.Settings(o.Quota), WaitReplicas: o.WaitReplicas, Queues: o.Queues,
	}
}

// Client enqueues calls, reads what became of them, and retries, skips or cancels them. It is
// safe for concurrent use. Close it.
type Client struct {
	rdb      redis.UniversalClient
	producer *engine.Producer
	control  *control.Control
	who      string // for the audit log
	closed   atomic.Bool

	mu      sync.Mutex // of the following
	granted *quota.Limiter
}

// Open makes a client on rdb, which stays yours to close. It contacts Redis, and makes the key
// that names tokens if there is none. A *MismatchError or ErrTokenIDKey says that tokens have
// other names in that Redis. A program needs only one client.
//
// Set ContextTimeoutEnabled in the options of rdb: without it, go-redis waits for a Redis that
// stands still for its own ReadTimeout, even if ctx has ended.
func Open(ctx context.Context, rdb redis.UniversalClient, o Options) (*Client, error) {
	if rdb == nil {
		return nil, errors.New("tasks: Open needs a Redis client")
	}
	p, err := engine.NewProducer(ctx, rdb, o.engine())
	if err != nil {
		return nil, public(err)
	}
	people, err := control.Open(rdb, o.Prefix, limits.Settings(o.Quota))
	if err != nil {
		_ = p.Close() // what it left lapses
		return nil, public(err)
	}
	return &Client{rdb: rdb, producer: p, control: people, who: control.ThisUser()}, nil
}

// Close ends the client and its limiter: see ErrClosed. The calls that were enqueued are still made.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.producer.Close()
}

// Enqueue enqueues one call. If there is no error, the call will be made. After an error that is
// not named below, it may be enqueued or not: with an ID, enqueueing it again is harmless.
//
// A *CallError says what is wrong with the call. A *ConflictError says that its ID is known for a
// different call. A *BatchError says that its batch was cancelled. ErrRedisFull means that Redis
// takes nothing new.
func (c *Client) Enqueue(ctx context.Context, call Call) (Receipt, error) {
	if c.closed.Load() {
		return Receipt{}, ErrClosed
	}
	var r engine.Receipt
	err := c.control.EnqueueCall(c.asProgram(ctx), call.Server, func() (id, chain string, err error) {
		r, err = c.producer.Enqueue(ctx, call.engine())
		return r.ID, r.Chain, err
	})
	return Receipt(r), public(err)
}

// TokenID returns the name of a token in receipts, results and package quota: an HMAC, which
// reveals nothing about the token.
func (c *Client) TokenID(t Token) string { return c.producer.TokenID(engine.Token(t)) }

// Limiter returns the limiter for a program that sends requests of its own with the tokens. It
// shares slots and counts with the workers, and knows a token by its TokenID.
//
// Its first request takes the limits of the workers that run, and fixes them: from then on a
// worker with other limits does not start. A *MismatchError says that Options.Quota asks for
// other limits. After Close its error is ErrClosed.
func (c *Client) Limiter() *quota.Limiter { return quota.Lazy(c.limiter) }

func (c *Client) limiter(ctx context.Context) (*quota.Limiter, error) {
	if c.closed.Load() {
		return nil, ErrClosed
	}
	s, err := c.producer.Limits(ctx)
	if err != nil {
		return nil, public(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.granted == nil {
		c.granted, err = quota.New(c.rdb, quota.Settings(s))
	}
	return c.granted, err
}

// WorkerOptions configure a worker. Zero fields mean the defaults of the settings of the same
// names. All processes on one Redis must have the same time-outs and Quota.
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
	// Log gets the worker's log lines. The zero Logger writes none.
	Log zerolog.Logger
	// Metrics registers the worker's metrics until the worker ends. nil: none.
	Metrics prometheus.Registerer
	// RedisURL is for a Redis that Sentinels watch: redis-sentinel://host:26379/master. The
	// client given to NewWorker may be nil then. "": the Redis of that client.
	RedisURL string
}

// Worker makes the calls. Run it once. It is safe for concurrent use.
type Worker struct{ worker *engine.Worker }

// NewWorker makes a worker on the Redis of rdb. It opens connections of its own, with the
// address, credentials, TLS and dialer of rdb, but not its hooks; rdb stays yours to close.
//
// A *MismatchError says which settings differ from those of other processes. ErrTokenIDKey says
// that tokens have other names in that Redis. ErrSentinel asks for RedisURL. Other errors come
// from Redis, or say which option is wrong.
func NewWorker(ctx context.Context, rdb redis.UniversalClient, o WorkerOptions) (*Worker, error) {
	if rdb == nil && o.RedisURL == "" {
		return nil, errors.New("tasks: NewWorker needs a Redis client, or RedisURL for a Redis that Sentinels watch")
	}
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

// Run makes calls until ctx ends. Then it starts no more calls, waits up to ShutdownTimeout for
// those in flight, closes the worker, and returns nil. An error says why it had to stop: a
// *MismatchError or ErrTokenIDKey. A worker runs once: after Run or Close, Run returns an error.
func (w *Worker) Run(ctx context.Context) error { return public(w.worker.Run(ctx)) }

// Ready returns why the worker makes no calls now; nil: it makes them. It asks Redis at most once
// a second; ctx limits the wait for the answer.
func (w *Worker) Ready(ctx context.Context) error { return public(w.worker.Ready(ctx)) }

// Close closes a worker that was not run. Otherwise it does nothing: Run closes it.
func (w *Worker) Close() error { return w.worker.Close() }
