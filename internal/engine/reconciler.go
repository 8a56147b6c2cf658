package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/breaker"
	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/redisconn"
)

// reconciler finds what should run and does not: buckets whose signal was lost, and
// chains put off by a process that is gone. It also deletes what was kept long enough.
// One worker at a time reconciles; another takes over when it dies.
type reconciler struct {
	*stack
	log       zerolog.Logger
	meter     *meter
	timers    *timers
	breakers  *breaker.Monitor
	leases    *leases
	me        string
	retention time.Duration
	every     time.Duration // between two reconciliations
	day       string
	ids       int // where TidyIDs goes on
}

const (
	reconcileGrace = 2 * time.Second // added to two reconciliations' time: then another worker takes over
	purgeEvery     = 10 * time.Minute
	tidyIDs        = 100_000 // ids that a purge looks at: a second of Redis, in small steps
)

func (s *reconciler) run(ctx context.Context) {
	var purged time.Time
	// Every worker begins with a reconciliation: the leader may have died just now.
	for first := true; ctx.Err() == nil; first = false {
		if day := s.clock.Now().In(s.settings.Location).Format(time.DateOnly); day != s.day {
			s.day = day
			s.meter.newDay()
		}
		leads, err := membership.Lead(ctx, s.rdb, s.prefix+":reconciler", s.me, 2*s.every+reconcileGrace)
		// If nobody can tell who leads, all reconcile.
		if err != nil || leads || first {
			err = errors.Join(err, s.recallQuota(ctx), s.reconcile(ctx))
		}
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("cannot read what the metrics tell of all workers; trying again")
		}
		if leads {
			n, failed := s.leases.look(ctx)
			if err = errors.Join(err, failed); n > 0 && failed == nil {
				s.log.Warn().Int("tasks", n).Msg("some asynq tasks had no lease; asynq ends them now")
			}
		} else {
			s.leases.forget()
		}
		if leads && time.Since(purged) > max(purgeEvery, 12*s.every) {
			purged = time.Now()
			err = errors.Join(err, s.purge(ctx))
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("the reconciler could not look at all chains; it tries again")
		}
		wait(ctx, s.every)
	}
}

// recallQuota makes chains that wait for tomorrow's quota look again if DEFAULT_LICENSES was raised. All live workers have
// the same value, so it was raised while none lived.
func (s *reconciler) recallQuota(ctx context.Context) error {
	var before int
	if _, err := s.noted(ctx, licensesNote, &before); err != nil || before == s.settings.DefaultLicenses {
		return err
	}
	if before < s.settings.DefaultLicenses {
		if err := s.ledger.RecallQuota(ctx, s.clock.Now()); err != nil {
			return err
		}
	}
	return s.note(ctx, licensesNote, s.settings.DefaultLicenses, 0)
}

func (s *reconciler) reconcile(ctx context.Context) error {
	buckets, unread := s.ledger.Inspect(ctx)
	if !redisconn.Partly(unread) {
		return unread
	}
	var ready []string
	for _, b := range buckets {
		if b.Ready > 0 {
			ready = append(ready, b.Tag)
		}
		s.timers.note(b.Tag, b.NextDue)
	}
	// A full Redis refuses this note. What follows must go on, since that empties Redis.
	// A note about a part of the buckets would pass for one about all.
	if unread == nil {
		if err := s.note(ctx, backlogNote, backlogOf(buckets, s.clock.Now()), 0); err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("the metrics of all workers could not be stored; they are stored at the next look")
		}
	}
	err := s.ledger.Signal(ctx, s.clock.Now(), ready...)
	if err != nil {
		// The list of signalled buckets is on one node of a cluster: without it this worker
		// dispatches from them itself.
		for _, tag := range ready {
			s.timers.note(tag, s.clock.Now())
		}
	}
	return errors.Join(unread, err)
}

// purge deletes batches that ended long enough ago, and calls of no batch. What can't be read or
// deleted now stays for the next time, and does not hold up the rest.
func (s *reconciler) purge(ctx context.Context) error {
	before := s.clock.Now().Add(-s.retention)
	n, err := s.ledger.Purge(ctx, ledger.NoBatch, ledger.AllTags(), before)
	if n > 0 {
		s.log.Info().Int("calls", n).Msg("calls of no batch deleted after their retention")
	}
	err = errors.Join(err, s.purgeBatches(ctx, before))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	next, failed := s.ledger.TidyIDs(ctx, s.ids, tidyIDs)
	if s.ids = next; failed != nil {
		s.ids++ // what can't be read now is passed over
	}
	return errors.Join(err, failed)
}

func (s *reconciler) purgeBatches(ctx context.Context, before time.Time) error {
	batches, err := s.batches.List(ctx)
	for _, b := range batches {
		if b.Created.After(before) || b.Live {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n, gone, failed := s.purgeBatch(ctx, b, before)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("batch %q: %w", b.Name, failed))
		}
		if gone {
			s.log.Info().Str("batch", b.Name).Int("calls", n).Msg("batch deleted after its retention")
		}
	}
	return errors.Join(err, s.batches.Tidy(ctx, before))
}

// purgeBatch deletes a batch, unless it is in use, or is used again meanwhile.
// ledger.Batches.MayPurge says why the steps have this order.
func (s *reconciler) purgeBatch(ctx context.Context, b ledger.Batch, before time.Time) (calls int, gone bool, err error) {
	mark, ok, err := s.batches.MayPurge(ctx, b.ID)
	if err != nil || !ok {
		return 0, false, err
	}
	counts, tags, err := s.counts(ctx, b.ID)
	if err != nil || counts.Open() > 0 || counts.HeldChains > 0 || counts.Changed.After(before) {
		return 0, false, err
	}
	if calls, err = s.ledger.Purge(ctx, b.ID, tags, before); err != nil {
		return calls, false, err
	}
	if counts, err = s.ledger.Counts(ctx, b.ID, tags); err != nil || counts.Total > 0 {
		return calls, false, err
	}
	gone, err = s.batches.Delete(ctx, b, mark)
	return calls, gone, err
}

// counts are the counts of the batch with that id, and the tags of its buckets.
func (s *stack) counts(ctx context.Context, batch string) (ledger.Counts, []string, error) {
	tags, err := s.batches.Tags(ctx, batch)
	if err != nil {
		return ledger.Counts{}, nil, err
	}
	counts, err := s.ledger.Counts(ctx, batch, tags)
	return counts, tags, err
}

// leases ends asynq tasks that have no lease. asynq's recoverer looks only at the set of leases,
// so a task in the list of active ones that has lost its lease stays there for ever (asynq
// #1144). Here it gets a lease that has ended, and asynq does the rest. The task may run again:
// its dispatch number makes that harmless.
type leases struct {
	rdb    redis.UniversalClient
	queues []string
	here   *sync.Map           // ids of the tasks that this process runs
	seen   map[string]struct{} // without a lease at the last look
}

// look mends the tasks that had no lease at two looks in a row. One look is not enough: its two
// reads are not of the same moment. It returns how many it mended.
func (l *leases) look(ctx context.Context) (mended int, err error) {
	without := map[string]struct{}{}
	for _, queue := range l.queues {
		n, failed := l.lookAt(ctx, queue, without)
		mended, err = mended+n, errors.Join(err, failed)
	}
	l.seen = without
	return mended, err
}

func (l *leases) lookAt(ctx context.Context, queue string, without map[string]struct{}) (int, error) {
	prefix := "asynq:{" + queue + "}:"
	active, err := l.rdb.LRange(ctx, prefix+"active", 0, -1).Result()
	if err != nil || len(active) == 0 {
		return 0, err
	}
	ids, err := l.rdb.ZRange(ctx, prefix+"lease", 0, -1).Result()
	if err != nil {
		return 0, err
	}
	leased := map[string]bool{}
	for _, id := range ids {
		leased[id] = true
	}
	var ended []redis.Z
	for _, id := range active {
		if _, here := l.here.Load(id); here || leased[id] {
			continue
		}
		without[id] = struct{}{}
		if _, ok := l.seen[id]; ok {
			// A process that does run it renews any lease that is there, this one too.
			ended = append(ended, redis.Z{Member: id})
		}
	}
	if len(ended) == 0 {
		return 0, nil
	}
	return len(ended), l.rdb.ZAddNX(ctx, prefix+"lease", ended...).Err()
}

// forget begins anew, since another worker looks now.
func (l *leases) forget() { l.seen = nil }
