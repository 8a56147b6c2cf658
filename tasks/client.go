package tasks

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"habilita/internal/control"
	"habilita/internal/engine"
	limits "habilita/internal/quota"
	"habilita/quota"
)

// Options are what clients and workers have in common.
type Options struct {
	// Keys are the sealing keys, "id:base64 of 32 bytes", comma separated: the first one seals,
	// all open. Required; `enqueue keygen` prints one.
	Keys string
	// Prefix begins all keys in Redis: letters, digits and ".:_-". "": "habilita", as the commands
	// have it. Programs with another prefix share nothing with them.
	Prefix string
	// Quota are the limits of a token; its Prefix is ignored. A worker makes its Lease of its
	// time-outs. Zero fields of a client's limiter are those of the workers that run; if none
	// does, and for a worker, the defaults.
	Quota quota.Settings
	// Tracer makes spans of enqueueing, runs and attempts. nil: none.
	Tracer trace.TracerProvider
	// WaitReplicas is how many replicas must have a grant, an outcome or a new call before it
	// counts, 0 to 100: nothing of it is lost when another node takes over. 0: none.
	WaitReplicas int
	// Queues is how many queues of asynq chains are spread over, 1 to 64; 0: 1. Several spread
	// the load over the nodes of a cluster. Processes may differ.
	Queues int
}

func (o Options) engine() engine.Options {
	return engine.Options{
		Keys: o.Keys, Prefix: o.Prefix, Tracer: o.Tracer, Quota: limits.Settings(o.Quota), WaitReplicas: o.WaitReplicas, Queues: o.Queues,
	}
}

// Client enqueues calls, reads what became of them, and decides. It is safe for concurrent
// use. Close it.
type Client struct {
	rdb      redis.UniversalClient
	producer *engine.Producer
	control  *control.Control
	who      string // for the audit log
	closed   atomic.Bool

	mu      sync.Mutex // of the following
	granted *quota.Limiter
}

// Open makes a client on rdb, which stays yours to close. It asks Redis, and makes the key that
// names tokens if there is none. A *MismatchError or ErrTokenIDKey says that tokens have other
// names there. A program needs one client.
func Open(ctx context.Context, rdb redis.UniversalClient, o Options) (*Client, error) {
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

// Close ends the client and its limiter. What was enqueued is made all the same.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.producer.Close()
}

// Enqueue enqueues one call. Without an error it will be made. After another error than those
// below it may be enqueued or not: with an ID, enqueueing it again is harmless.
//
// A *CallError says what is wrong with the call, a *ConflictError that its ID is known for a
// call that says otherwise, a *BatchError that its batch was cancelled; ErrRedisFull means that
// Redis takes nothing new.
func (c *Client) Enqueue(ctx context.Context, call Call) (Receipt, error) {
	if c.closed.Load() {
		return Receipt{}, ErrClosed
	}
	r, err := c.producer.Enqueue(ctx, call.engine())
	return Receipt(r), public(err)
}

// TokenID is the name of a token, as receipts, results and package quota have it: an HMAC,
// which tells nothing of the token.
func (c *Client) TokenID(t Token) string { return c.producer.TokenID(engine.Token(t)) }

// Limiter is for a program that sends requests of its own with the tokens: it shares slots and
// counts with the workers, and knows a token by its TokenID.
//
// Its first request settles the limits, those of the workers that run, and holds them: a
// *MismatchError says that Options.Quota asks for others. From then on a worker with other limits
// does not start. After Close its error is ErrClosed.
func (c *Client) Limiter() *quota.Limiter { return quota.Lazy(c.limiter) }

func (c *Client) limiter(ctx context.Context) (*quota.Limiter, error) {
	if c.closed.Load() {
		return nil, ErrClosed
	}
	l, err := c.producer.Limiter(ctx)
	if err != nil {
		return nil, public(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.granted == nil {
		c.granted, err = quota.New(c.rdb, quota.Settings(l.Settings()))
	}
	return c.granted, err
}
