package engine

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
)

// scheduler makes the runs of schedules that are due. Every worker has one; a claim in
// Redis sees to it that one of them makes a run, and that another takes it over where
// that one dies. Package schedule says how.
type scheduler struct {
	*stack
	log      zerolog.Logger
	meter    *meter
	store    *schedule.Store
	producer *Producer
	every    time.Duration // between two looks, at most
	lease    time.Duration // of a claim
}

const (
	// lookEvery is how soon a run that a person asked for begins.
	lookEvery = 2 * time.Second
	// runLease is after how long a run is taken over whose worker is gone.
	runLease = 30 * time.Second
	// lookSlack is how far the clock that is carried on may be before that of Redis.
	lookSlack = 25 * time.Millisecond
)

func (s *scheduler) run(ctx context.Context) {
	for ctx.Err() == nil {
		rest, err := s.look(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("some schedules can't be read; trying again")
		}
		wait(ctx, rest)
	}
}

// look does what is to be done for every schedule, and returns how long there is nothing
// to do for any that is known.
func (s *scheduler) look(ctx context.Context) (rest time.Duration, err error) {
	rest = s.every
	all, now, unread := s.store.All(ctx)
	if !redisconn.Partly(unread) {
		return rest, unread
	}
	s.clock.Observe(now.UnixMilli())
	for _, st := range all {
		if ctx.Err() != nil {
			return rest, nil
		}
		// The one before may have taken a while.
		now := s.clock.Now()
		if err := s.attend(ctx, st, now); err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Str("schedule", st.Name).Msg("a schedule could not be looked at; trying again")
		}
		if until := st.Next.Sub(now); until > 0 && !st.Paused {
			rest = min(rest, until+lookSlack)
		}
	}
	return rest, unread
}

// attend does what is to be done for one schedule now, if anything.
func (s *scheduler) attend(ctx context.Context, st schedule.State, now time.Time) error {
	table, err := schedule.NewTimetable(st.Cron, st.Timezone)
	if err != nil {
		return err
	}
	d, err := schedule.Decide(table, st, now, func() (string, error) { return s.unsettled(ctx, st.Last) })
	if err != nil {
		return err
	}
	switch d.Action {
	case schedule.Make:
		c, ok, err := s.store.MakeClaim(ctx, st, d, s.lease)
		if err != nil || !ok {
			return err
		}
		c.Started = now
		s.log.Info().Str("schedule", st.Name).Str("batch", c.Batch).Int("missed_ticks", c.Missed).Msg("a schedule begins its run")
		return s.enqueue(ctx, st, c)
	case schedule.Take:
		c, ok, err := s.store.TakeClaim(ctx, st, s.lease)
		if err != nil || !ok {
			return err
		}
		s.log.Warn().Str("schedule", st.Name).Str("batch", c.Batch).Str("error", c.Error).Msg("a schedule's run goes on that was left")
		return s.enqueue(ctx, st, c)
	case schedule.Pass:
		ok, err := s.store.PassOver(ctx, st, d)
		if err != nil || !ok {
			return err
		}
		s.meter.scheduled.WithLabelValues(d.Result).Inc()
		s.log.Warn().Str("schedule", st.Name).Time("tick", d.Tick).Str("result", d.Result).Str("reason", d.Reason).
			Msg("a schedule makes no run this time")
	}
	return nil
}

// unsettled returns the batch where it is one that has not settled, else "".
func (s *scheduler) unsettled(ctx context.Context, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	id := ledger.BatchID(name)
	m, err := s.batches.Get(ctx, id)
	if errors.Is(err, ledger.ErrNoBatch) {
		return "", nil // its retention is over, or nothing of it came to be
	} else if err != nil {
		return "", err
	}
	counts, _, err := s.counts(ctx, id)
	if err != nil || counts.Settled() && !m.Live {
		return "", err
	}
	return name, nil
}
