package engine

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
	"habilita/internal/vault"
)

// scheduler makes the runs of schedules that are due. Every worker has one. A claim in
// Redis makes sure that one of them makes a run, and that another takes over if that one
// dies. Package schedule says how.
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
	// claimLease is how long another worker waits before it takes over the run of one that is gone.
	claimLease = 30 * time.Second
	// lookSlack is how far our estimate of the clock of Redis may be ahead of it.
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

// look does what is to be done for every schedule. It returns for how long there is nothing
// to do for any known one.
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
		// The schedule before may have taken a while.
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

// unsettled returns the batch's name if it has not settled, else "".
func (s *scheduler) unsettled(ctx context.Context, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	id := ledger.BatchID(name)
	m, err := s.batches.Get(ctx, id)
	if errors.Is(err, ledger.ErrNoBatch) {
		return "", nil // its retention is over, or it was never made
	} else if err != nil {
		return "", err
	}
	counts, _, err := s.counts(ctx, id)
	if err != nil || counts.Settled() && !m.Live {
		return "", err
	}
	return name, nil
}

const (
	// If a run can't be enqueued, the first worker that looks after retryRun tries again. After maxRunTries
	// the run is given up.
	retryRun    = 30 * time.Second
	maxRunTries = 20
	// endRun is how long a worker that stops may take to write the end of a run.
	endRun = 2 * time.Second
)

// enqueue makes the run of a claim, or goes on with it. The run is a batch of its own, so
// calls that are in it already are only counted.
func (s *scheduler) enqueue(ctx context.Context, st schedule.State, c schedule.Claim) error {
	working, end := context.WithCancelCause(ctx)
	stop := s.keep(working, end, st.ID, c)
	run, err := s.fill(working, st.ID, c)
	lost := errors.Is(context.Cause(working), schedule.ErrLost) || errors.Is(err, schedule.ErrLost)
	end(nil)
	stop()
	if lost {
		s.log.Warn().Str("schedule", st.Name).Str("batch", c.Batch).Msg("a schedule's run goes on elsewhere, or its schedule was removed")
		return nil
	}
	// The end is written even if the worker stops.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endRun)
	defer cancel()
	switch {
	case err != nil && ctx.Err() != nil:
		return ignoreLost(s.store.GiveBack(ending, st.ID, c, 0, ""))
	case err != nil && !forGood(err) && c.Tries+1 < maxRunTries:
		why := redisconn.Describe(err)
		s.log.Warn().Str("schedule", st.Name).Str("batch", c.Batch).Str("error", why).Dur("again_after", retryRun).
			Msg("a schedule's run could not be enqueued; trying again")
		return ignoreLost(s.store.GiveBack(ending, st.ID, c, retryRun, why))
	case err != nil:
		run.Result, run.Reason = schedule.ResultFailed, redisconn.Describe(err)
	default:
		run.Result = schedule.ResultMade
	}
	if err := s.store.Finish(ending, st.ID, c, run); err != nil {
		return ignoreLost(err)
	}
	s.meter.scheduled.WithLabelValues(run.Result).Inc()
	s.tell(st.Name, run)
	return nil
}

// tell logs a run that is over.
func (s *scheduler) tell(name string, r schedule.Run) {
	e, message := s.log.Info(), "a schedule's run is enqueued"
	switch {
	case r.Result == schedule.ResultFailed:
		e, message = s.log.Error().Str("error", r.Reason), "a schedule's run failed; what was enqueued of it goes on"
	case r.Rejected+r.Conflicts+r.Withheld > 0:
		message = "a schedule's run is enqueued, but for rows that were left out"
		if r.Passed > 0 {
			message = "a schedule's run is enqueued, but for calls whose chain is held"
		}
		e = s.log.Warn().Int("passed_over", r.Passed).Int("chains_held", r.Chains).Int("rejected", r.Rejected).
			Int("conflicts", r.Conflicts).Int("withheld", r.Withheld)
	}
	e.Str("schedule", name).Str("batch", r.Batch).Int("calls", r.Calls).Msg(message)
}

// keep renews the claim until stop is called, and ends the work if another run has taken the claim.
// If Redis does not answer, the work goes on: that is harmless.
func (s *scheduler) keep(ctx context.Context, end context.CancelCauseFunc, id string, c schedule.Claim) (stop func()) {
	return Every(ctx, s.lease/3, func(ctx context.Context) {
		if err := s.store.Renew(ctx, id, c, s.lease); errors.Is(err, schedule.ErrLost) {
			end(schedule.ErrLost)
		}
	})
}

// fill enqueues the calls of a run. What it returns about the run is true after an error
// too.
func (s *scheduler) fill(ctx context.Context, id string, c schedule.Claim) (schedule.Run, error) {
	run := schedule.Run{Batch: c.Batch, Kind: c.Kind, Tick: c.Tick.UnixMilli(), Started: c.Started.UnixMilli(), Missed: c.Missed}
	// Decide before anything is enqueued, and only once. A run must not pass over what waits
	// behind its own calls, and a worker that takes it over must enqueue the same calls in the
	// same order.
	if !c.Decided {
		held := s.heldChains(ctx, ledger.BatchID(c.Batch))
		if c.PileUp {
			held = func(func(string, error) bool) {}
		}
		if err := s.store.DecidePassed(ctx, id, c, held); err != nil {
			return run, err
		}
	}
	passed, err := s.store.Passed(ctx, id, c)
	if err != nil {
		return run, err
	}
	chains := map[string]struct{}{}
	calls := func(yield func(Call, error) bool) {
		number := 0
		for r, err := range s.store.Rows(ctx, id, c.Revision, c.Rows, s.keys) {
			number++
			if err == nil && len(passed) > 0 {
				chainID := ledger.ChainID(s.tokenIDs.Name(r.Token), r.Chain)
				if _, is := passed[chainID]; is {
					run.Passed++
					chains[chainID] = struct{}{}
					continue
				}
			}
			r.Line = cmp.Or(r.Line, number)
			if !yield(CallOfRow(r, err)) {
				return
			}
		}
	}
	// Rows were checked when the schedule was added. A row that a newer version refuses does not stop the others.
	reject := func(err error) error {
		if redisconn.Is[*CallError](err) {
			return nil
		}
		return err
	}
	sum, err := s.producer.EnqueueBatch(ctx, c.Batch, calls, BatchOptions{Policy: ledger.Policy(c.Policy), OnReject: reject, PassedOver: func() int { return run.Passed }})
	run.Calls, run.Rejected, run.Chains = sum.Enqueued+sum.Duplicates, sum.Rejected, len(chains)
	run.Conflicts, run.Withheld = sum.Conflicts, sum.Withheld+run.Passed
	return run, err
}

// heldChains are the ids of all chains that wait for a person, except those that wait at a
// call of the batch itself. There may be such calls: a Redis that lost its last writes may
// have lost the claim and, on a cluster, still have the calls.
func (s *scheduler) heldChains(ctx context.Context, batchID string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		tags, err := s.ledger.Busy(ctx, true)
		if err != nil {
			yield("", err)
			return
		}
		for c, err := range s.ledger.Chains(ctx, tags, true) {
			if err == nil && c.Head.Batch == batchID {
				continue
			}
			if !yield(c.ID, err) || err != nil {
				return
			}
		}
	}
}

// forGood reports whether trying again is of no use.
func forGood(err error) bool {
	return errors.Is(err, schedule.ErrRowsGone) || errors.Is(err, vault.ErrTampered) ||
		redisconn.Is[*ledger.BatchError](err) && !errors.Is(err, ledger.BatchBusy) && !errors.Is(err, ledger.BatchGone)
}

func ignoreLost(err error) error {
	if errors.Is(err, schedule.ErrLost) {
		return nil
	}
	return err
}
