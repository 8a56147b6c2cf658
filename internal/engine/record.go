package engine

import (
	"context"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
)

// begin asks for the run's first grant. own is the server at which the run has a place; "" for none. If Redis does
// not answer, begin asks again under the same nonce: if the grant was made already, it gets that one.
func (r *runner) begin(ctx context.Context, f ledger.Dispatch, own string) (*ledger.Step, error) {
	nonce := newID()
	step := &ledger.Step{}
	away, probe := r.breakers.Blocked()
	away += r.hosts.blocked(own)
	var alone unacknowledged
	err := persist(ctx, 2*time.Second, brokenFor, func() (err error) {
		step, err = r.ledger.Begin(ctx, f, nonce, away)
		switch {
		case alone.tooLong(err):
			step, err = r.unsent(ctx, step, away)
		case redisconn.Unreplicated(err) && step.Status != ledger.Running:
			err = nil // nothing is sent, and if begin asked again, it would not be told again what it woke
		case err != nil && !redisconn.Unreplicated(err):
			r.log.Warn().Err(err).Str("chain", f.Chain).Msg("Redis did not take the start of a run; trying again")
		}
		return err
	})
	r.meter.reclaimed.Add(float64(step.Reclaimed))
	r.probing(step, probe)
	r.handOver(ctx, step, err)
	return step, err
}

// recordEvery is the longest pause between two tries to record an outcome. It is far below
// the grace that follows a lease (graceOf). So after Redis refused writes for long, the worker
// that has the outcome comes before any that would dispatch its chain again.
const recordEvery = 250 * time.Millisecond

// recordRoom is how long an outcome waits for its place among those that are on their way
// (recordings). Then it goes all the same: a shard that hangs may hold the places.
const recordRoom = 100 * time.Millisecond

// finish tries to record the outcome until Redis takes it or the process ends: nothing else
// may be done with the chain before that. While Redis itself replies with an error, finish
// tries for as long as a lease and its grace: after that the chain is another run's.
func (r *runner) finish(ctx context.Context, a *ledger.Attempt, j *verdict, on ledger.GoOn, own string) (*ledger.Step, error) {
	next := newID()
	step := &ledger.Step{}
	away, probe := r.breakers.Blocked()
	away += r.hosts.blocked(own)
	lasting := ctx // ends when requests are cut off; recording their outcomes may take longer
	if r.last != nil {
		lasting = r.last
	}
	var alone unacknowledged
	var first *ledger.Step // what was carried out before enough replicas had it
	err := persist(lasting, recordEvery, r.settings.Lease+graceOf(r.settings.Lease), func() (err error) {
		defer r.place()()
		step, err = r.ledger.Finish(lasting, a, j.Outcome, on, next, away)
		switch {
		case alone.tooLong(err):
			// The outcome is still to be acknowledged. Sending it again changes nothing, unless a node
			// that lacks it has taken over.
			r.log.Warn().Err(err).Str("call", a.CallID()).Msg("outcome is held until enough replicas have it")
			if put, failed := r.unsent(lasting, step, away); failed == nil {
				on, next, alone, first = ledger.Stop, newID(), unacknowledged{}, put
			}
			return err
		case redisconn.Unreplicated(err):
			r.handOver(lasting, step, nil)
			if first == nil && step.Status != ledger.Running {
				first = step
			}
			return err
		}
		if err != nil {
			r.log.Warn().Err(err).Str("call", a.CallID()).Msg("outcome not recorded yet; trying again")
		}
		return err
	})
	if err == nil && step.Status == ledger.Stale && first != nil {
		step = first
		step.Woken = nil
	}
	r.meter.reclaimed.Add(float64(step.Reclaimed))
	r.probing(step, probe)
	r.handOver(lasting, step, err)
	return step, err
}

// place waits, for room at most, for a place among the outcomes that are on their way to
// Redis. leave gives the place back.
func (r *runner) place() (leave func()) {
	leave = func() { <-r.recording }
	select {
	case r.recording <- struct{}{}:
		return leave
	default: // only who waits needs a timer
	}
	select {
	case r.recording <- struct{}{}:
		return leave
	case <-time.After(r.room):
		return func() {}
	}
}

// brokenFor is for how long begin tries again while Redis itself replies with an error.
const brokenFor = 500 * time.Millisecond

// persist tries until it succeeds or ctx ends; then it returns the last error. Between two
// tries it waits for longer and longer, up to most. If Redis itself calls the command an error
// for the time broken, persist gives up: one chain whose state can't be read must not hold a
// worker for ever. Such an error may still pass: a Redis that has no connection left replies with
// one too, and before version 7 most refusals within a script look like that.
func persist(ctx context.Context, most, broken time.Duration, try func() error) error {
	var since time.Time // of the first such error; zero: none
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, most) {
		err := try()
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case !redisconn.Broken(err):
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= broken:
			return err
		}
		wait(ctx, pause)
	}
}

// unacknowledged knows since when too few replicas have acknowledged a write.
type unacknowledged struct{ since time.Time }

// ackPatience is how long a request waits for replicas to have its grant. Then the grant is given
// back: if it were kept, the end of its lease would spend an attempt.
const ackPatience = 2 * time.Second

// tooLong reports whether a write still lacks replicas, and has for longer than ackPatience.
func (u *unacknowledged) tooLong(err error) bool {
	if !redisconn.Unreplicated(err) {
		return false
	}
	if u.since.IsZero() {
		u.since = time.Now()
	}
	return time.Since(u.since) >= ackPatience
}

// unsent gives back the grant of a step without sending its request, because too few replicas have the
// grant. The chain comes back after a back-off. A step without a grant stays as it is.
func (r *runner) unsent(ctx context.Context, step *ledger.Step, away string) (*ledger.Step, error) {
	r.handOver(ctx, step, nil)
	if step.Status != ledger.Running {
		step.Woken = nil
		return step, nil
	}
	a := &step.Attempt
	back, err := r.ledger.Finish(ctx, a, ledger.Outcome{
		Kind: ledger.Late, Slot: ledger.GiveBack, Delay: backOff(1, r.o.RetryMin, r.o.RetryMax), Reason: ledger.ReasonNotSent,
		Err: "not sent: too few replicas of Redis acknowledged the grant",
	}, ledger.Stop, newID(), away)
	if err != nil && !redisconn.Unreplicated(err) {
		return step, err
	}
	r.handOver(ctx, back, nil)
	back.Woken = nil
	r.log.Warn().Str("call", a.CallID()).Str("chain", a.Chain).Str("token_id", a.TokenID()).Msg("call not sent: too few replicas of Redis acknowledged its grant; it comes back")
	return back, nil
}
