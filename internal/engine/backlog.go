package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/ledger"
)

// backlog is what the worker that reconciles found, for the metrics of all workers: whichever
// of them is asked tells the same, so max over instances is right and sum is not.
type backlog struct {
	At        int64 `json:"at"` // ms by the clock of Redis
	Ready     int   `json:"ready"`
	Active    int   `json:"active"`
	Held      int   `json:"held"`
	Scheduled int   `json:"scheduled"`
	WaitedMS  int64 `json:"waited_ms"` // of the chain that could have run for longest
}

func backlogOf(buckets []ledger.Bucket, now time.Time) backlog {
	sum := backlog{At: now.UnixMilli()}
	for _, b := range buckets {
		sum.Ready += b.Ready
		sum.Active += b.Due
		sum.Held += b.Held
		sum.Scheduled += b.Delayed
		// What is due and has not moved on waits for a worker as much as what is ready.
		for _, since := range []time.Time{b.Since, b.NextDue} {
			if !since.IsZero() {
				sum.WaitedMS = max(sum.WaitedMS, sum.At-since.UnixMilli())
			}
		}
	}
	return sum
}

func (s *reconciler) backlogKey() string { return s.prefix + ":survey" }

func (s *reconciler) publish(ctx context.Context, sum backlog) error {
	return s.note(ctx, s.backlogKey(), sum, 0)
}

// note stores what one process found, for the metrics of all workers; kept 0: until the next time.
func (s *stack) note(ctx context.Context, key string, found any, kept time.Duration) error {
	text, err := json.Marshal(found)
	if err != nil {
		return err
	}
	return s.rdb.Set(ctx, key, text, kept).Err()
}

// noted reads what note stored; false: nothing is there, or can be read.
func (s *stack) noted(ctx context.Context, key string, found any) (bool, error) {
	text, err := s.rdb.Get(ctx, key).Bytes()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, found)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", key, err)
	}
	return true, nil
}

// look sets the gauges that are about all workers. What is not known, or was looked at so
// long ago that another worker should have taken over, is left out: an old value is worse
// than none, and an alert can be made of its absence.
func (s *reconciler) look(ctx context.Context) error {
	for state, n := range s.health.Counts() {
		s.meter.servers.WithLabelValues(string(state)).Set(float64(n))
	}
	// Each stands for itself: in a cluster one may be read and another not.
	return errors.Join(s.lookAtSync(ctx), s.lookAtWorkers(ctx), s.lookAtBacklog(ctx))
}

func (s *reconciler) lookAtWorkers(ctx context.Context) error {
	alive, err := s.registry.Alive(ctx)
	if err != nil {
		s.meter.workers.Reset()
		return err
	}
	workers := 0
	for _, p := range alive {
		if p.Kind == workerKind {
			workers++
		}
	}
	s.meter.workers.WithLabelValues().Set(float64(workers))
	return nil
}

func (s *reconciler) lookAtBacklog(ctx context.Context) error {
	var sum backlog
	there, err := s.noted(ctx, s.backlogKey(), &sum)
	oldest := s.clock.Now().Add(-2 * (2*s.every + reconcileGrace))
	if !there || time.UnixMilli(sum.At).Before(oldest) {
		s.meter.chains.Reset()
		s.meter.waiting.Reset()
		return err
	}
	for state, n := range map[string]int{"ready": sum.Ready, "active": sum.Active, "held": sum.Held, "scheduled": sum.Scheduled} {
		s.meter.chains.WithLabelValues(state).Set(float64(n))
	}
	s.meter.waiting.WithLabelValues().Set(float64(sum.WaitedMS) / 1000)
	return nil
}

// syncResult is what the last quota sync found, for the metrics of all workers.
type syncResult struct {
	At      int64 `json:"at"`      // ms by the clock of Redis
	Highest int   `json:"highest"` // the vendor's count minus ours
}

// syncKept is how long the last sync is told of: as long as the counts that it was compared
// with are kept.
const syncKept = 48 * time.Hour

func (s *stack) syncKey() string { return s.prefix + ":quota_drift" }

func (s *stack) noteSync(ctx context.Context, highest int) error {
	return s.note(ctx, s.syncKey(), syncResult{s.clock.Now().UnixMilli(), highest}, syncKept)
}

// lookAtSync sets the gauges of the last sync. Before the first, and where it can't be
// read, there are none.
func (s *reconciler) lookAtSync(ctx context.Context) error {
	var d syncResult
	there, err := s.noted(ctx, s.syncKey(), &d)
	if !there {
		s.meter.drift.Reset()
		s.meter.synced.Reset()
		return err
	}
	s.meter.drift.WithLabelValues().Set(float64(d.Highest))
	s.meter.synced.WithLabelValues().Set(float64(time.UnixMilli(d.At).Unix()))
	return nil
}
