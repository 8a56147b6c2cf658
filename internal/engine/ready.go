package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"habilita/internal/redisconn"
)

// Ready says why the worker makes no calls, or nil. The reasons: it is starting or stopping; Redis
// does not answer, takes no writes or lacks replicas; the shared settings are not confirmed; no
// grant is made since Redis restarted; the queue is paused in asynq. Ready asks Redis at most once a
// second, however often it is called. ctx bounds the wait for an answer.
func (w *Worker) Ready(ctx context.Context) error {
	if !w.taking.Load() {
		return errStartsOrStops
	}
	if err := w.writes.check(ctx); err != nil {
		return errors.New(redisconn.Describe(err))
	}
	return w.barred()
}

var (
	errStartsOrStops = errors.New("the worker takes no calls: it is starting or stopping")
	errNotCurrent    = errors.New("the worker takes no calls: Redis did not confirm for too long that all processes use the same settings")
	errPaused        = errors.New("no call is made: the queue is paused in asynq")
)

// barred says why the worker makes no calls, as far as it knows without asking Redis; or nil.
func (w *Worker) barred() error {
	switch {
	case !w.taking.Load():
		return errStartsOrStops
	case !w.member.Current():
		return errNotCurrent
	case w.dispatcher.paused.Load():
		return errPaused
	}
	if err := w.stack.unreplicated(); err != nil {
		return err
	}
	return w.stack.frozen()
}

// lackingFor is for how long replicas may be missing before the worker says so.
const lackingFor = 5 * time.Second

// unreplicated says that calls wait because replicas are missing, or nil.
func (s *stack) unreplicated() error {
	node, since := s.acks.Lacking()
	if since.IsZero() || time.Since(since) < lackingFor {
		return nil
	}
	return fmt.Errorf("no call is made at %s since %s: fewer replicas than WAIT_REPLICAS acknowledge what is written there",
		node, since.UTC().Format(time.RFC3339))
}

const (
	// probeReplicas is how often replicas are probed while none is missing.
	probeReplicas = 5 * time.Second
	// probeLacking is the same while some are missing.
	probeLacking = 500 * time.Millisecond
)

// followReplicas probes the replicas until ctx ends, so that what is known of them is current even
// while nothing is written.
func (w *Worker) followReplicas(ctx context.Context) {
	for ctx.Err() == nil {
		w.stack.acks.Probe(ctx, w.stack.rdb)
		pause := probeReplicas
		if _, since := w.stack.acks.Lacking(); !since.IsZero() {
			pause = probeLacking
		}
		wait(ctx, pause)
	}
}

// writable asks whether Redis takes writes, at most once every writableFor and once at a time.
type writable struct {
	ask    func() error
	asking singleflight.Group

	// The last answer. Only the one call that asks reads and writes these.
	at  time.Time
	err error
}

const (
	writableFor  = time.Second
	writableWait = time.Second // for one answer
)

// newWritable asks each Redis that has one of asynq's queues. It uses a connection of its own, since the
// worker's may all be in use. The command would write, and need memory, if its key existed; it never
// does.
func newWritable(rdb redis.UniversalClient, prefix string, queues []string) *writable {
	return &writable{ask: func() error {
		for _, queue := range queues {
			key := prefix + ":{" + queue + "}:none"
			err := rdb.SetArgs(context.Background(), key, "", redis.SetArgs{Mode: "XX"}).Err()
			if err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
		}
		return nil
	}}
}

// check returns the last answer, or waits for a new one.
func (w *writable) check(ctx context.Context) error {
	select {
	case answer := <-w.asking.DoChan("", w.learn):
		return answer.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writable) learn() (any, error) {
	if w.at.IsZero() || time.Since(w.at) >= writableFor {
		w.err, w.at = w.ask(), time.Now()
	}
	return nil, w.err
}
