package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/trace"

	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/vault"
	"habilita/internal/wolkvox"
)

// Options are what producers and workers have in common.
type Options struct {
	// Keys are the sealing keys, "id:base64 of 32 bytes", comma separated: the first
	// seals, all open. Required; "enqueue keygen" prints one.
	Keys string
	// Prefix of all keys in Redis, and the name of the asynq queue; "" is "habilita". Letters, digits and ".:_-".
	Prefix string
	// Queues is how many asynq queues the chains are spread over: Prefix and others named after it. Up to
	// MaxQueues; 0: 1.
	Queues int
	// Tracer makes the spans of enqueueing, runs and attempts; nil: none, at no cost.
	Tracer trace.TracerProvider
	// WaitReplicas is how many replicas must have a write of a grant, an outcome or a new call before
	// it counts as done. Up to 100; 0: none.
	WaitReplicas int
	// Quota are the limits of a token. Its Prefix is taken from Prefix.
	Quota quota.Settings

	// keyReturns is how long a starting process waits for a living one to put the token-ID key
	// back; 0: the constant keyReturns.
	keyReturns time.Duration
}

// stack is what a producer and a worker are built on.
type stack struct {
	tracer    trace.Tracer
	rdb       redis.UniversalClient
	prefix    string
	queues    []string // of asynq; the first is Options.Prefix
	keys      *vault.Keys
	tokenIDs  *vault.TokenIDs
	ledger    *ledger.Ledger
	batches   *ledger.Batches
	settings  quota.Settings
	clock     *quota.Clock
	notBefore quota.Freeze // a Redis that restarted
	doubt     atomic.Int64 // ms by the clock of Redis: since when it is not known whether a take-over lost anything; 0: it is
	registry  *membership.Registry
	memory    memory // of the data
	acks      *redisconn.Acks
}

// openStack prepares the ledger and the token-ID key. It writes the token-ID key if
// Redis has none yet.
func openStack(ctx context.Context, rdb redis.UniversalClient, o Options, maxAttempts int) (*stack, error) {
	o.Prefix = cmp.Or(o.Prefix, quota.DefaultPrefix)
	keys, err := vault.ParseKeys(o.Keys)
	if err != nil {
		return nil, fmt.Errorf("HABILITA_KEYS: %w", err)
	}
	if n := o.WaitReplicas; n < 0 || n > redisconn.MaxReplicas {
		return nil, fmt.Errorf("option WaitReplicas is %d, want 0 to %d", n, redisconn.MaxReplicas)
	}
	if n := o.Queues; n < 0 || n > MaxQueues {
		return nil, fmt.Errorf("option Queues is %d, want 0 to %d", n, MaxQueues)
	}
	o.Quota.Prefix = o.Prefix
	settings, err := o.Quota.WithDefaults()
	if err != nil {
		return nil, err
	}
	acks := redisconn.NewAcks(o.WaitReplicas, o.Prefix)
	if o.WaitReplicas > 0 {
		if err := acks.On(ctx, rdb); err != nil {
			return nil, err
		}
		acks.Probe(ctx, rdb) // to know how many replicas there are; missing ones are no fault yet
	}
	// The clock of Redis dates everything, from the first batch on.
	now, err := rdb.Time(ctx).Result()
	if err != nil {
		return nil, err
	}
	clock := new(quota.Clock)
	clock.Observe(now.UnixMilli())
	s := &stack{
		tracer: newTracer(o.Tracer),
		rdb:    rdb, prefix: o.Prefix, queues: queueNames(o.Prefix, o.Queues), keys: keys, settings: settings,
		clock: clock, batches: ledger.NewBatches(rdb, o.Prefix),
		registry: membership.New(rdb, o.Prefix), acks: acks, memory: memory{looks: map[string]int64{}},
	}
	if err := s.checkFormat(ctx); err != nil {
		return nil, err
	}
	if err := s.openKey(ctx, cmp.Or(o.keyReturns, keyReturns)); err != nil {
		return nil, err
	}
	s.ledger = ledger.New(rdb, ledger.Options{
		Prefix: o.Prefix, MaxAttempts: maxAttempts, Grace: graceOf(settings.Lease), Fingerprint: s.tokenIDs.Fingerprint(),
		Admission: ledger.Admission{Library: quota.Library(), Args: s.grantArgs, Observe: s.clock.Observe},
	})
	return s, s.found(ctx)
}

// graceOf is how long a living worker may still record an outcome after its lease, once Redis
// takes writes again. The worker needs time to notice that: it tries every recordEvery, but a
// try that hangs lasts for the client's own time-out. The wait for a worker that is gone is as long.
func graceOf(lease time.Duration) time.Duration {
	return min(max(lease/4, time.Second), 8*time.Second)
}

// grantArgs are the limits as the scripts read them, for a grant asked for now.
func (s *stack) grantArgs() []any {
	return s.settings.Args(s.clock.Now(), s.notBefore.Load(), true)
}

// newID returns 26 random characters of a to z and 2 to 7.
func newID() string { return strings.ToLower(rand.Text()) }

// ledgerFormat is the version of the data in Redis. It goes up when older programs can't read the data, or
// would damage it. A task's payload has a version of its own (payloadVersion).
const ledgerFormat = 1

// checkFormat refuses the ledger of a later version. A ledger without a version is from this one, or an older one.
func (s *stack) checkFormat(ctx context.Context) error {
	key := s.prefix + ":format:{" + s.keyName() + "}" // a cluster keeps it with the token-ID key
	text, err := s.rdb.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		err := s.rdb.SetArgs(ctx, key, ledgerFormat, redis.SetArgs{Mode: "NX"}).Err()
		if err == nil || errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	}
	if err != nil {
		return err
	}
	have, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%s is %q, and no version of the ledger", key, text)
	}
	if have > ledgerFormat {
		return fmt.Errorf("the calls in Redis were written by a later version of habilita (%s is format %d, and this version knows %d): use that version",
			key, have, ledgerFormat)
	}
	return nil
}

// WorkerOptions set up a Worker. Zero values mean the defaults of the settings of the
// same names.
type WorkerOptions struct {
	Options
	RedisURL      string        // required, if there is no Redis
	WolkvoxURL    string        // "" is the vendor's
	CallTimeout   time.Duration // longest time of a request; 0: 60 s
	VendorTimeout time.Duration // longest time that the vendor may work; 0: 60 s
	SlotMargin    time.Duration // from the grant until the request must be written; 0: 5 s
	Concurrency   int           // requests in flight; 0: 1,000
	// ServerConcurrency is how many of these may be at one server of the vendor; 0: 64.
	ServerConcurrency int
	MaxAttempts       int           // requests sent before a call is given up; 0: 12
	GiveUpAfter       time.Duration // of push-back; 0: 24 h
	RetryMin          time.Duration // 0: 1 s
	RetryMax          time.Duration // 0: 15 min
	Retention         time.Duration // 0: 720 h
	ShutdownTimeout   time.Duration // for requests in flight to end; 0: 75 s
	Log               zerolog.Logger
	Metrics           prometheus.Registerer // has a worker's metrics until it is closed or its Run has ended; nil: none

	// TaskCheckInterval is how long asynq waits after it found no task; 0: 10 ms. A worker that stops may wait as long.
	// An idle worker with one queue is notified of tasks, so it asks every 200 ms, or every TaskCheckInterval if
	// that is longer.
	TaskCheckInterval time.Duration
	// ReconcileInterval is how often a worker looks for chains that should run and do not,
	// because a signal or a process was lost; 0: 5 s.
	ReconcileInterval time.Duration
	// RedisDialer and VendorDialer make the connections to Redis (TLS included if
	// RedisURL asks for it) and to the vendor (under TLS): for a network of the caller's
	// own, such as a tunnel. nil: a net.Dialer.
	RedisDialer, VendorDialer func(ctx context.Context, network, addr string) (net.Conn, error)
	// Redis is the client that the worker's own clients are modelled on, if RedisURL is "". See redisconn.Like.
	Redis redis.UniversalClient

	// BeforeSend is called between every grant and its request, for a write-ahead log of the
	// caller's own. At that point the slot is taken, the request is counted on its days, and
	// nothing was sent. granted is by the clock of Redis. If BeforeSend returns an error, the
	// request is not sent: slot and count are given back, and the call comes back after a
	// back-off. Its time counts within SlotMargin: if it takes longer, the request is not sent
	// either. nil: none. Up to Concurrency goroutines call it at the same time.
	BeforeSend func(ctx context.Context, a *ledger.Attempt, granted time.Time) error
	// AfterOutcome is called after the ledger has recorded an attempt's outcome, or has refused it
	// because another attempt followed. It is called before BeforeSend is called for the chain's
	// next request, whichever run sends that. A worker that is killed in between does not call it.
	// nil: none. Up to Concurrency goroutines call it at the same time, and wait for it.
	AfterOutcome func(r Recorded)
}

// openRedis makes a client of the worker's Redis.
func (o WorkerOptions) openRedis(ro redisconn.Options) (redis.UniversalClient, error) {
	if ro.ReadTimeout == 0 && o.severalNodes() {
		ro.ReadTimeout, ro.WriteTimeout = redisconn.QuickRead, 5*time.Second
	}
	if o.RedisURL == "" && o.Redis != nil {
		return redisconn.Like(o.Redis, ro)
	}
	return redisconn.Open(o.RedisURL, ro)
}

// vendor makes the client of the vendor. A request that the network holds back must not arrive long after its grant.
func (o WorkerOptions) vendor() (*wolkvox.Client, error) {
	return wolkvox.New(wolkvox.Config{URL: o.WolkvoxURL, Timeout: o.CallTimeout, AckTimeout: o.SlotMargin, DialContext: o.VendorDialer})
}

// cluster reports whether Redis is a cluster.
func (o WorkerOptions) cluster() bool {
	_, given := o.Redis.(*redis.ClusterClient)
	return given && o.RedisURL == "" || redisconn.IsCluster(o.RedisURL)
}

// severalNodes reports whether another node may take Redis over.
func (o WorkerOptions) severalNodes() bool { return o.cluster() || redisconn.Several(o.RedisURL) }

// WithDefaults returns a copy in which the worker's own options that were zero have their defaults. The time-outs
// determine the lease.
func (o WorkerOptions) WithDefaults() WorkerOptions {
	o.CallTimeout = cmp.Or(o.CallTimeout, time.Minute)
	o.VendorTimeout = cmp.Or(o.VendorTimeout, time.Minute)
	o.SlotMargin = cmp.Or(o.SlotMargin, 5*time.Second)
	o.GiveUpAfter = cmp.Or(o.GiveUpAfter, 24*time.Hour)
	o.RetryMin = cmp.Or(o.RetryMin, time.Second)
	o.RetryMax = cmp.Or(o.RetryMax, 15*time.Minute)
	o.Retention = cmp.Or(o.Retention, 720*time.Hour)
	o.ShutdownTimeout = cmp.Or(o.ShutdownTimeout, 75*time.Second)
	o.TaskCheckInterval = cmp.Or(o.TaskCheckInterval, 10*time.Millisecond)
	o.ReconcileInterval = cmp.Or(o.ReconcileInterval, 5*time.Second)
	o.Concurrency = cmp.Or(o.Concurrency, 1000)
	o.ServerConcurrency = cmp.Or(o.ServerConcurrency, 64)
	o.MaxAttempts = cmp.Or(o.MaxAttempts, ledger.DefaultMaxAttempts)
	o.Quota.Lease = max(o.CallTimeout, o.VendorTimeout) + o.SlotMargin
	return o
}

// MaxDuration is the most that a time of an option may be: added to a date, it is still one.
const MaxDuration = 10 * 365 * 24 * time.Hour

// check reports all invalid options at once.
func (o WorkerOptions) check() error {
	var faults []error
	within := func(most int64, values map[string]int64) {
		for name, value := range values {
			if value < 0 {
				faults = append(faults, fmt.Errorf("%s is below 0", name))
			} else if value > most {
				faults = append(faults, fmt.Errorf("%s is too large", name))
			}
		}
	}
	within(int64(MaxDuration), map[string]int64{
		"CallTimeout": int64(o.CallTimeout), "VendorTimeout": int64(o.VendorTimeout), "SlotMargin": int64(o.SlotMargin),
		"GiveUpAfter": int64(o.GiveUpAfter), "RetryMin": int64(o.RetryMin), "RetryMax": int64(o.RetryMax),
		"Retention": int64(o.Retention), "ShutdownTimeout": int64(o.ShutdownTimeout),
		"TaskCheckInterval": int64(o.TaskCheckInterval), "ReconcileInterval": int64(o.ReconcileInterval),
	})
	within(1_000_000, map[string]int64{
		"Concurrency": int64(o.Concurrency), "ServerConcurrency": int64(o.ServerConcurrency), "MaxAttempts": int64(o.MaxAttempts),
	})
	if o.RetryMin > o.RetryMax {
		faults = append(faults, fmt.Errorf("RetryMin is %s, above RetryMax, which is %s", o.RetryMin, o.RetryMax))
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
}

// sharedSettings are what all processes must agree on.
func (o WorkerOptions) sharedSettings(s *stack) membership.Settings {
	return sharedSettings(s.settings, s.tokenIDs.Fingerprint(), o.CallTimeout, o.VendorTimeout, o.SlotMargin)
}
