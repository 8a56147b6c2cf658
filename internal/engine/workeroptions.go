package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/redisconn"
)

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

	// TaskCheckInterval is how long asynq waits after it found no task; 0: 10 ms. A worker that stops may wait for as
	// long. An idle worker, which is told of tasks, asks every 200 ms, or every TaskCheckInterval if that is longer.
	TaskCheckInterval time.Duration
	// ReconcileInterval is how often a worker looks for what should run and does not, since
	// a signal or a process was lost; 0: 5 s.
	ReconcileInterval time.Duration
	// RedisDialer and VendorDialer make the connections to Redis (TLS included where
	// RedisURL asks for it) and to the vendor (under TLS): for a network of the caller's
	// own, such as a tunnel. nil: a net.Dialer.
	RedisDialer, VendorDialer func(ctx context.Context, network, addr string) (net.Conn, error)
	// Redis is a client like which the worker makes its own if RedisURL is "". See redisconn.Like.
	Redis redis.UniversalClient

	// BeforeSend is called between every grant and its request, for a write-ahead log of one's
	// own: the slot is taken, the request is counted on its days, and
	// nothing was sent. granted is by the clock of Redis. An error means that the request is not sent: slot and count are given back, and
	// the call comes back after a back-off. Its time counts within SlotMargin: a request
	// for which it takes longer is not sent either. nil: none. It is called by up to
	// Concurrency goroutines at the same time.
	BeforeSend func(ctx context.Context, a *ledger.Attempt, granted time.Time) error
	// AfterOutcome is called after the ledger has recorded an attempt's outcome and before
	// BeforeSend is for the chain's next request, whichever run sends that; a worker that is killed in between does not
	// call it. nil: none. It is called by up to Concurrency goroutines at the same time,
	// which wait for it.
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

// cluster reports whether Redis is a cluster.
func (o WorkerOptions) cluster() bool {
	_, given := o.Redis.(*redis.ClusterClient)
	return given && o.RedisURL == "" || redisconn.IsCluster(o.RedisURL)
}

// severalNodes reports whether another node may take Redis over.
func (o WorkerOptions) severalNodes() bool { return o.cluster() || redisconn.Several(o.RedisURL) }

func (o WorkerOptions) withDefaults() WorkerOptions {
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
	o.MaxAttempts = cmp.Or(o.MaxAttempts, 12)
	o.Quota.Lease = max(o.CallTimeout, o.VendorTimeout) + o.SlotMargin
	return o
}

// check says which options can't be, all at once.
func (o WorkerOptions) check() error {
	var faults []error
	for name, value := range map[string]int64{
		"CallTimeout": int64(o.CallTimeout), "VendorTimeout": int64(o.VendorTimeout), "SlotMargin": int64(o.SlotMargin),
		"GiveUpAfter": int64(o.GiveUpAfter), "RetryMin": int64(o.RetryMin), "RetryMax": int64(o.RetryMax),
		"Retention": int64(o.Retention), "ShutdownTimeout": int64(o.ShutdownTimeout),
		"TaskCheckInterval": int64(o.TaskCheckInterval), "ReconcileInterval": int64(o.ReconcileInterval),
		"Concurrency": int64(o.Concurrency), "ServerConcurrency": int64(o.ServerConcurrency), "MaxAttempts": int64(o.MaxAttempts),
	} {
		if value < 0 {
			faults = append(faults, fmt.Errorf("%s is below 0", name))
		}
	}
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
