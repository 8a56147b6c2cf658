package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/vault"
)

// Options are what producers and workers have in common.
type Options struct {
	// Keys are the sealing keys, "id:base64 of 32 bytes", comma separated: the first
	// seals, all open. Required; "enqueue keygen" prints one.
	Keys string
	// Prefix of all keys in Redis, and the name of the asynq queue; "" is "habilita". Letters, digits and ".:_-".
	Prefix string
	// Queues is how many queues of asynq chains are spread over, Prefix and others named after it, up to
	// MaxQueues; 0: 1.
	Queues int
	// Tracer makes the spans of enqueueing, runs and attempts; nil: none, at no cost.
	Tracer trace.TracerProvider
	// WaitReplicas is how many replicas must have what grants, outcomes and new calls write before
	// it counts as done, up to 100; 0: none.
	WaitReplicas int
	// Quota are the limits of a token. Its Prefix is taken from Prefix.
	Quota quota.Settings

	// keyReturns is how long one that starts waits for a living process to put the token-ID key
	// back; 0 is keyReturns.
	keyReturns time.Duration
}

// stack is what a producer and a worker are built of.
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

// openStack prepares the ledger and the token-ID key. It writes the token-ID key where
// Redis has none yet.
func openStack(ctx context.Context, rdb redis.UniversalClient, o Options, maxAttempts int) (*stack, error) {
	o.Prefix = cmp.Or(o.Prefix, quota.DefaultPrefix)
	keys, err := vault.ParseKeys(o.Keys)
	if err != nil {
		return nil, fmt.Errorf("HABILITA_KEYS: %w", err)
	}
	for _, n := range []struct {
		name       string
		value, max int
	}{{"WaitReplicas", o.WaitReplicas, 100}, {"Queues", o.Queues, MaxQueues}} {
		if n.value < 0 || n.value > n.max {
			return nil, fmt.Errorf("%s is %d, want 0 to %d", n.name, n.value, n.max)
		}
	}
	o.Quota.Prefix = o.Prefix
	settings, err := o.Quota.WithDefaults()
	if err != nil {
		return nil, err
	}
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	acks := redisconn.NewAcks(o.WaitReplicas, o.Prefix)
	if err := acks.On(ctx, rdb); err != nil {
		return nil, err
	}
	_ = acks.Probe(ctx, rdb) // to know how many replicas there are; that some lack is no fault yet
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
		registry: membership.New(rdb, o.Prefix), acks: acks,
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

// graceOf is how long a worker that lives may record an outcome after its lease, once Redis
// takes writes again. It has to notice that: it tries every recordEvery, but a try that hangs
// lasts for the client's own time-out. Workers that are gone are waited for as long.
func graceOf(lease time.Duration) time.Duration {
	return min(max(lease/4, time.Second), 8*time.Second)
}

// grantArgs are the limits as the scripts read them, for a grant asked for now.
func (s *stack) grantArgs() []any {
	return s.settings.Args(s.clock.Now(), s.notBefore.Load(), true)
}

// newID returns 26 random characters of a to z and 2 to 7.
func newID() string { return strings.ToLower(rand.Text()) }

// ledgerFormat is the version of what stands in Redis. One that older versions can't read, or would spoil,
// has a higher number. A task's payload has a version of its own (payloadVersion).
const ledgerFormat = 1

// LaterVersionError says that a later version of habilita wrote the ledger.
type LaterVersionError struct {
	Key         string // in Redis, that has the version
	Have, Known int    // formats of the ledger, and of this program
}

// Error says what to do.
func (e *LaterVersionError) Error() string {
	return fmt.Sprintf("the calls in Redis were written by a later version of habilita (%s is format %d, and this version knows %d): use that version",
		e.Key, e.Have, e.Known)
}

// checkFormat refuses the ledger of a later version. A ledger without a version is of this one, or older.
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
		return &LaterVersionError{Key: key, Have: have, Known: ledgerFormat}
	}
	return nil
}
