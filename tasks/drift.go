package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// drift is what the last quota sync found, for the metrics of all workers.
type drift struct {
	At      int64 `json:"at"`      // ms by the clock of Redis
	Highest int   `json:"highest"` // the vendor's count minus ours
}

func (s *stack) driftKey() string { return s.prefix + ":quota_drift" }

func (s *stack) noteDrift(ctx context.Context, highest int) error {
	text, err := json.Marshal(drift{s.clock.Now().UnixMilli(), highest})
	if err != nil {
		return err
	}
	return s.rdb.Set(ctx, s.driftKey(), text, driftKept).Err()
}

// driftKept is how long the last sync is told of: as long as the counts that it was compared
// with are kept.
const driftKept = 48 * time.Hour

// lookAtDrift sets the gauges of the last sync. Before the first, and where it can't be
// read, there are none.
func (s *sweeper) lookAtDrift(ctx context.Context) error {
	var d drift
	text, err := s.rdb.Get(ctx, s.driftKey()).Bytes()
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		s.meter.drift.Reset()
		s.meter.synced.Reset()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return fmt.Errorf("%s: %w", s.driftKey(), err)
	}
	s.meter.drift.WithLabelValues().Set(float64(d.Highest))
	s.meter.synced.WithLabelValues().Set(float64(time.UnixMilli(d.At).Unix()))
	return nil
}
