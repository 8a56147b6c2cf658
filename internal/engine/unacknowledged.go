package engine

import (
	"context"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
)

// unacknowledged is since when a write has not been acknowledged by enough replicas.
type unacknowledged struct{ since time.Time }

// What note says of a write.
const (
	otherwise    = iota // it was acknowledged, or failed for another reason
	unreplicated        // too few replicas have it
	tooLong             // the same, for longer than ackPatience
)

// ackPatience is how long the request of a grant waits for replicas to have the grant. Then it is
// given back: kept, it would spend an attempt with its lease.
const ackPatience = 2 * time.Second

func (u *unacknowledged) note(err error) int {
	switch {
	case !redisconn.Unreplicated(err):
		return otherwise
	case u.since.IsZero():
		u.since = time.Now()
	case time.Since(u.since) >= ackPatience:
		return tooLong
	}
	return unreplicated
}

// unsent gives back the grant of a step, for which no request is sent since too few replicas have it.
// The chain comes back after a back-off. A step without a grant stays as it is.
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
