package engine

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/say"
	"habilita/internal/vault"
	"habilita/internal/wolkvox"
)

// The names of outcomes in logs and metrics.
const (
	outcomeSucceeded  = "succeeded"
	outcomeRefused    = "refused" // for good: given up at once
	outcomeFailed     = "failed"  // may pass
	outcomeUnknown    = "unknown" // the vendor may be working on it still
	outcomePushBack   = "push_back"
	outcomeNotSent    = "not_sent"
	outcomeUnopenable = "unopenable" // the token's sealing key is gone
)

// probeAfter is the time until the first probe of a token, after the vendor said that its quota is
// used up. The probe does not wait for our midnight: the vendor's day may begin at another hour.
const probeAfter = 15 * time.Minute

// attemptFacts are what an outcome depends on, besides the answer.
type attemptFacts struct {
	Now           time.Time // by the clock of Redis
	NextDay       time.Time // when the quota frees
	Spent         int       // requests of the budget, with this one
	MaxAttempts   int
	FirstPushBack time.Time // zero: none yet
	GiveUpAfter   time.Duration
	BackOff       time.Duration // drawn for this attempt
	Probe         bool          // the token cools, and this was a gentle try
	Stopping      bool          // the worker cancelled the attempt
}

// verdict is what becomes of a call.
type verdict struct {
	ledger.Outcome
	Name string // of the outcome, for logs and metrics
}

// decideOutcome is the outcome table: answer or error in, decision out. It is pure.
//
//	answer                            decision                          slot
//	success                           done                              freed
//	bad token, 400, 401, 404, 405     given up at once                  freed
//	5xx, unreadable, anything else    attempt; back-off                 freed
//	unknown outcome                   attempt; back-off, lease first    kept
//	TOKEN LIMIT EXCEEDED              no attempt; token closed          freed
//	simultaneous, 429, unknown 403    no attempt; token cools           freed
//	not sent                          no attempt; back-off              given back
//	cancelled before it was sent      no attempt; at once               given back
//	refused by the BeforeSend hook    no attempt; back-off              given back
//	held up on our side for too long  no attempt; back-off              given back
//	token can't be opened             given up at once                  given back
//
// Attempts end at MaxAttempts. Push-back ends GiveUpAfter after the first one.
func decideOutcome(ans wolkvox.Answer, err error, f attemptFacts) verdict {
	if err == nil {
		o := ledger.Outcome{Kind: ledger.Done, Slot: ledger.Release, Code: strconv.Itoa(ans.Code), Msg: ans.Msg}
		o.Cooling.Lift = f.Probe
		return verdict{o, outcomeSucceeded}
	}
	o := ledger.Outcome{Slot: ledger.GiveBack, Err: err.Error()}
	refused, isRefused := errors.AsType[*wolkvox.RefusedError](err)
	unsent, isUnsent := errors.AsType[*wolkvox.NotSentError](err)
	switch {
	case redisconn.Is[*notSentError](err), isUnsent && unsent.Late && !f.Stopping:
		o.Kind, o.Delay, o.Reason = ledger.Late, f.BackOff, ledger.ReasonNotSent
		return verdict{o, outcomeNotSent}
	case redisconn.Is[*unopenableError](err):
		o.Kind, o.Reason = ledger.GiveUp, ledger.ReasonUnopenable
		return verdict{o, outcomeUnopenable}
	case isUnsent:
		o.Reason = ledger.ReasonNotSent
		if f.Stopping {
			o.Kind = ledger.Late
			return verdict{o, outcomeNotSent}
		}
		return f.pushBack(o, ledger.NotSent, outcomeNotSent)
	case redisconn.Is[*wolkvox.UnknownOutcomeError](err): // below, whatever its cause
	case isRefused:
		return f.refusal(refused)
	case redisconn.Is[*wolkvox.UnreadableError](err):
		o.Slot, o.Reason = ledger.Release, ledger.ReasonUnreadable
		return f.attempt(o, outcomeFailed)
	}
	// The client returns no other error. After an unknown one, the request may have reached the vendor.
	o.Slot, o.Reason = ledger.Keep, ledger.ReasonUnknown
	return f.attempt(o, outcomeUnknown)
}

func (f attemptFacts) refusal(e *wolkvox.RefusedError) verdict {
	o := ledger.Outcome{Slot: ledger.Release, Msg: e.Msg, Err: e.Error(), Reason: string(e.Kind)}
	o.Code = strconv.Itoa(cmp.Or(e.Code, e.Status))
	f.BackOff = max(f.BackOff, e.RetryAfter)
	switch e.Kind {
	case wolkvox.BadToken, wolkvox.BadRequest, wolkvox.MissingToken, wolkvox.NotFound, wolkvox.MethodNotAllowed:
		o.Kind = ledger.GiveUp
		return verdict{o, outcomeRefused}
	case wolkvox.TokenLimit:
		o.Cooling = ledger.Cooling{Until: f.NextDay, Why: string(e.Kind), ProbeAfter: probeAfter}
		return f.pushBack(o, ledger.PushBack, outcomePushBack)
	case wolkvox.SimultaneousLimit, wolkvox.TooMany, wolkvox.UnknownForbidden:
		o.Cooling = ledger.Cooling{Until: f.Now.Add(f.BackOff), Why: string(e.Kind)}
		return f.pushBack(o, ledger.PushBack, outcomePushBack)
	default: // wolkvox.ServerFailure, wolkvox.Other
		return f.attempt(o, outcomeFailed)
	}
}

// attempt is a failure that may pass: it counts against the budget.
func (f attemptFacts) attempt(o ledger.Outcome, name string) verdict {
	o.Kind, o.Delay = ledger.Fail, f.BackOff
	if f.Spent >= f.MaxAttempts {
		o.Kind = ledger.GiveUp
		o.Err = fmt.Sprintf("given up after %s: %s", say.Count(f.Spent, "attempt"), o.Err)
	}
	return verdict{o, name}
}

// pushBack is not the call's fault: it counts no attempt, but does not go on for ever.
func (f attemptFacts) pushBack(o ledger.Outcome, kind ledger.Kind, name string) verdict {
	o.Kind, o.Delay = kind, f.BackOff
	if !f.FirstPushBack.IsZero() && f.Now.Sub(f.FirstPushBack) >= f.GiveUpAfter {
		o.Kind = ledger.GiveUp
		o.Err = fmt.Sprintf("given up: pushed back since %s: %s", f.FirstPushBack.UTC().Format(time.RFC3339), o.Err)
	}
	return verdict{o, name}
}

// unopenableError says that a sealed token can't be opened by this worker's keys.
type unopenableError struct{ cause error }

func (e *unopenableError) Error() string {
	if gone, ok := errors.AsType[*vault.KeyGoneError](e.cause); ok {
		return fmt.Sprintf("token can't be opened: sealing key %q is not among HABILITA_KEYS: "+
			"add it, restart the workers, and retry the chain", gone.ID)
	}
	return "token can't be opened: " + e.cause.Error() + ": enqueue the call again with its token, then skip this one"
}

func (e *unopenableError) Unwrap() error { return e.cause }

// backOff draws the wait after the nth failure in a row (from 1): exponential with full
// jitter, evenly between low and min(high, low * 2^n).
func backOff(n int, low, high time.Duration) time.Duration {
	top := high
	if n < 40 && low<<n > 0 {
		top = min(high, low<<n)
	}
	if top <= low {
		return low
	}
	return low + rand.N(top-low)
}
