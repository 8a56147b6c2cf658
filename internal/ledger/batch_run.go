package ledger

import (
	"context"
	"time"

	"habilita/internal/redisconn"
)

var (
	runScript      = alone("run")
	completeScript = alone("complete")
)

const (
	// RunLease is how long a run counts as alive after it was last heard of.
	RunLease = 15 * time.Second
	// RenewEvery is how often it is to be heard of.
	RenewEvery = 5 * time.Second
)

func (s *Batches) run(ctx context.Context, op, id, run string) (done bool, err error) {
	v, err := runScript.run(ctx, s.rdb, []string{s.runsKey(id)}, op, run, RunLease.Milliseconds()).Int64Slice()
	return err == nil && v[0] == 1, err
}

// BeginRun takes the lease of a run. It is false while another run is alone.
func (s *Batches) BeginRun(ctx context.Context, id, run string) (bool, error) {
	return s.run(ctx, "begin", id, run)
}

// RenewRun keeps the lease of a run.
func (s *Batches) RenewRun(ctx context.Context, id, run string) error {
	_, err := s.run(ctx, "renew", id, run)
	return err
}

// Alone lets no other run begin until this one ends. It is false while another one lives.
func (s *Batches) Alone(ctx context.Context, id, run string) (bool, error) {
	return s.run(ctx, "alone", id, run)
}

// EndRun gives the lease back.
func (s *Batches) EndRun(ctx context.Context, id, run string) error {
	_, err := s.run(ctx, "end", id, run)
	return err
}

// Began notes that this run of the batch is the last one: the batch is not complete.
func (s *Batches) Began(ctx context.Context, id, run string) error {
	return completeScript.run(ctx, s.rdb, []string{s.metaKey(id)}, run, 0).Err()
}

// Completed notes that the run has read its file to the end and left nothing out, if it is the
// last one that began.
func (s *Batches) Completed(ctx context.Context, id, run string) error {
	return completeScript.run(redisconn.Acknowledged(ctx), s.rdb, []string{s.metaKey(id)}, run, 1).Err()
}
