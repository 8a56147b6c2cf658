package control

import (
	"cmp"
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"habilita/internal/breaker"
	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/schedule"
)

// Control shows what there is, and decides about it. Each decision is written to the audit log under
// the name of the context's Actor. A Control has no state of its own, and is safe for concurrent use.
type Control struct {
	ledger    *ledger.Ledger
	batches   *ledger.Batches
	limiter   *quota.Limiter
	schedules *schedule.Store
	servers   *breaker.Store
	audit     *AuditLog
}

// Open makes a Control on rdb. prefix, or "habilita" if that is "", replaces s.Prefix. s
// must be what the workers use; zero fields have their defaults. The only errors are
// faults of the other fields. Nothing is sent to Redis.
func Open(rdb redis.UniversalClient, prefix string, s quota.Settings) (*Control, error) {
	prefix = cmp.Or(prefix, quota.DefaultPrefix)
	s.Prefix = prefix
	limiter, err := quota.New(rdb, s)
	if err != nil {
		return nil, err
	}
	l := ledger.New(rdb, ledger.Options{Prefix: prefix, Admission: ledger.Admission{Library: quota.Library(), Args: limiter.Args}})
	return &Control{
		ledger: l, batches: ledger.NewBatches(rdb, prefix), limiter: limiter,
		schedules: schedule.NewStore(rdb, prefix), servers: breaker.New(rdb, prefix), audit: NewAuditLog(rdb, prefix),
	}, nil
}

// batch finds a batch by its name. It also returns the tags of the buckets that may
// hold calls of the batch.
func (o *Control) batch(ctx context.Context, name string) (ledger.Batch, []string, error) {
	if name == "" {
		return ledger.Batch{}, nil, &UnknownError{Kind: ledger.ErrNoBatch}
	}
	return o.batchOf(ctx, ledger.BatchID(name), name)
}

// batchOf finds a batch by its short name, id. An error shows name.
func (o *Control) batchOf(ctx context.Context, id, name string) (ledger.Batch, []string, error) {
	m, err := o.batches.Get(ctx, id)
	if errors.Is(err, ledger.ErrNoBatch) {
		return m, nil, &UnknownError{ledger.ErrNoBatch, name}
	}
	if err != nil {
		return m, nil, of(err, "batch %q", name)
	}
	tags, err := o.batches.Tags(ctx, m.ID)
	return m, tags, of(err, "batch %q", name)
}

// busyTags returns the tags of the buckets that ledger.Busy finds.
func (o *Control) busyTags(ctx context.Context, heldOnly bool) ([]string, error) {
	tags, err := o.ledger.Busy(ctx, heldOnly)
	return tags, of(err, "look at the chains")
}

// Reseal passes every sealed token to reseal, with the token's name, and stores what that
// returns, if it differs. It returns how many were replaced.
func (o *Control) Reseal(ctx context.Context, reseal func(tokenID, sealed string) (string, error)) (int, error) {
	return o.ledger.Reseal(ctx, reseal)
}
