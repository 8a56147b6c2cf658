package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// syncResult is what the last quota sync found, for the metrics of all workers.
type syncResult struct {
	At      int64 `json:"at"`      // ms by the clock of Redis
	Highest int   `json:"highest"` // the vendor's count minus ours
}

func (s *stack) syncKey() string { return s.prefix + ":quota_drift" }

func (s *stack) noteSync(ctx context.Context, highest int) error {
	text, err := json.Marshal(syncResult{s.clock.Now().UnixMilli(), highest})
	if err != nil {
		return err
	}
	return s.rdb.Set(ctx, s.syncKey(), text, syncKept).Err()
}

// syncKept is how long the last sync is told of: as long as the counts that it was compared
// with are kept.
const syncKept = 48 * time.Hour

// lookAtSync sets the gauges of the last sync. Before the first, and where it can't be
// read, there are none.
func (s *reconciler) lookAtSync(ctx context.Context) error {
	var d syncResult
	text, err := s.rdb.Get(ctx, s.syncKey()).Bytes()
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		s.meter.drift.Reset()
		s.meter.synced.Reset()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return fmt.Errorf("%s: %w", s.syncKey(), err)
	}
	s.meter.drift.WithLabelValues().Set(float64(d.Highest))
	s.meter.synced.WithLabelValues().Set(float64(time.UnixMilli(d.At).Unix()))
	return nil
}
