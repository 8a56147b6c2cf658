package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"habilita/internal/ledger"
)

// batchLease is the lease under which a job fills its batch. Its renewal does not depend on the
// source of the calls: a slow source is alive, a killed producer is not.
type batchLease struct {
	p       *Producer
	id, run string
	begun   bool
	stop    func() // nil: the lease is not kept
}

// endLease is how long giving the lease back may take: a lease that is not given back lapses.
const endLease = 2 * time.Second

func (s *batchLease) begin(ctx context.Context, name string) error {
	if s.begun {
		return nil
	}
	s.begun = true // even if it fails, Redis may have carried it out
	ok, err := s.p.batches.Lease(ctx, ledger.BeginRun, s.id, s.run)
	if err != nil {
		return err
	}
	if !ok {
		return &ledger.BatchError{Batch: name, Problem: ledger.BatchBusy}
	}
	s.stop = Every(context.WithoutCancel(ctx), ledger.RenewEvery, func(ctx context.Context) {
		_, _ = s.p.batches.Lease(ctx, ledger.RenewRun, s.id, s.run) // again in five seconds
	})
	return nil
}

func (s *batchLease) end(ctx context.Context) {
	if !s.begun {
		return
	}
	if s.stop != nil {
		s.stop()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLease)
	defer cancel()
	_, _ = s.p.batches.Lease(ctx, ledger.EndRun, s.id, s.run)
}

// open makes sure that the batch exists before the first call; with Look it only reads it. If the
// sequence has ended without a row, open makes no batch.
func (b *batchRun) open(ctx context.Context) error {
	if b.opened {
		return nil
	}
	if b.PartIf != nil {
		b.part = b.PartIf()
	}
	if b.part && b.Prune {
		return ErrPart
	}
	if b.job.alone {
		b.opened = true
		return nil
	}
	want := ledger.Batch{ID: b.id, Name: b.name, Policy: b.Policy, Created: b.p.clock.Now(), Canary: b.Canary, Path: b.Path}
	var have ledger.Batch
	var err error
	if b.Look || b.own.Rows == 0 {
		if have, err = b.p.batches.Get(ctx, b.id); errors.Is(err, ledger.ErrNoBatch) {
			b.opened = true
			return nil
		}
		if err != nil {
			return err
		}
	}
	if !b.Look {
		if err := b.job.lease.begin(ctx, b.name); err != nil {
			return err
		}
		var created bool
		have, created, err = b.ensure(ctx, want)
		b.job.created = b.job.created || created
		if err != nil {
			return err
		}
	}
	if have.Name == b.name && have.Cancelled {
		return &ledger.BatchError{Batch: b.name, Problem: ledger.BatchCancelled}
	}
	b.existed = !b.job.created
	if err := b.mayTake(ctx, have, want); err != nil {
		return err
	}
	if err := b.mayEnqueue(ctx, have); err != nil {
		return err
	}
	if !b.Look {
		if err := b.p.batches.Began(ctx, b.id, b.job.lease.run); err != nil {
			return err
		}
		if b.replace {
			if err := b.whetherAlone(ctx); err != nil {
				return err
			}
			b.replace = b.notPruned == nil
		}
	}
	b.opened = true
	return nil
}

// ensure makes sure that the batch exists, and that nobody deletes it while the run lives. mayTake
// says whether it takes the rows.
func (b *batchRun) ensure(ctx context.Context, want ledger.Batch) (have ledger.Batch, created bool, err error) {
	for range appendTries {
		have, created, err = b.p.batches.Ensure(ctx, want)
		if err != nil || have.Cancelled {
			return have, created, err
		}
		b.permit.store, b.permit.of = b.p.batches, have
		if _, err = b.permit.renew(ctx, nil); err == nil {
			return have, created, nil
		}
		if !errors.Is(err, ledger.ErrNoBatch) {
			break
		}
	}
	return ledger.Batch{}, created, err
}

// permit is the permission to append to a batch. It is renewed before it ends.
type permit struct {
	store *ledger.Batches
	of    ledger.Batch

	mu    sync.Mutex // of the following: shards share it
	asked time.Time
	end   time.Time // by the clock of Redis
}

// until notes the buckets of tags, if any, and returns the time until which calls may be appended.
func (p *permit) until(ctx context.Context, tags []string) (time.Time, error) {
	p.mu.Lock()
	end, fresh := p.end, time.Since(p.asked) < ledger.AppendFor/2
	p.mu.Unlock()
	if len(tags) == 0 && fresh {
		return end, nil
	}
	return p.renew(ctx, tags)
}

func (p *permit) renew(ctx context.Context, tags []string) (time.Time, error) {
	asked := time.Now()
	end, err := p.store.Note(ctx, p.of, tags)
	if errors.Is(err, ledger.ErrNoBatch) {
		err = &ledger.BatchError{Batch: p.of.Name, Problem: ledger.BatchGone}
	}
	if err != nil {
		return time.Time{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if end.After(p.end) {
		p.asked, p.end = asked, end
	}
	return p.end, nil
}

// mayTake says why the batch does not take these rows; nil: it does.
func (b *batchRun) mayTake(ctx context.Context, have, want ledger.Batch) error {
	if b.job.created {
		return have.Takes(want)
	}
	counts, tags, err := b.p.counts(ctx, b.id)
	if err != nil {
		return err
	}
	b.before = counts.Total
	if waits := counts.LastDue.After(b.p.clock.Now()); b.job.atOnce || !b.NotBefore.IsZero() {
		b.own.Kept = (waits || !b.job.atOnce) && !b.NotBefore.Equal(counts.LastDue)
	} else if waits && counts.FirstDue.Equal(counts.LastDue) {
		b.NotBefore = counts.FirstDue // else calls that are new would be made before those that stand before them
	}
	if b.before == 0 && have.Policy != want.Policy { // one that has no calls takes any
		if !b.Look {
			if err := b.p.batches.SetPolicy(ctx, b.id, want.Policy); err != nil {
				return err
			}
		}
		have.Policy = want.Policy
	}
	if err := have.Takes(want); err != nil {
		return err
	}
	if have.Policy == ledger.PolicyCancel && !b.Look { // else a corrected row is cancelled as soon as it is new
		if err := b.p.ledger.Undrop(ctx, b.id, tags); err != nil {
			return err
		}
	}
	if have.Content {
		return nil
	}
	for c, err := range b.p.ledger.Calls(ctx, b.id, tags) {
		if err != nil {
			return err
		}
		if ledger.IsOrdinal(c.Key) {
			return &ledger.BatchError{Batch: b.name, Problem: ledger.BatchOld}
		}
	}
	if b.Look {
		return nil
	}
	return b.p.batches.SetContent(ctx, have)
}
