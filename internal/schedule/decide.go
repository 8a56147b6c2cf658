package schedule

import (
	"time"
)

// Grace is how late a tick may be made and still be one that was not missed: a worker
// may be restarting.
const Grace = 5 * time.Minute

// Action is what a worker is to do with a schedule.
type Action string

// The actions.
const (
	Nothing Action = ""     // not now
	Make    Action = "make" // claim a run and make it
	Pass    Action = "pass" // write down that there is no run
	Take    Action = "take" // take over a run whose worker is gone
)

// Decision is what is to be done with a schedule at a time.
type Decision struct {
	Action Action
	Kind   string    // of the run: KindTick or KindAsked
	Tick   time.Time // of the run; when it was asked for
	Batch  string    // of the run
	Missed int       // ticks before it for which there was no run
	Result string    // of a run that is passed over: Skipped or Missed
	Reason string    // why it is passed over, in words
	Next   time.Time // the next tick; zero: none within five years
}

// Kinds of a run.
const (
	KindTick  = "tick"
	KindAsked = "asked" // a person asked for it
)

// Decide says what is to be done now, by the clock of Redis. unsettled is the batch of
// the last run where that has not settled, "" otherwise; it is asked for only where a run
// would be made. It changes nothing.
func Decide(t *Timetable, s State, now time.Time, unsettled func() (string, error)) (Decision, error) {
	if s.Claim.Number > 0 {
		if s.Claim.Until.After(now) {
			return Decision{}, nil
		}
		return Decision{Action: Take}, nil
	}
	if !s.Asked.At.IsZero() {
		d := Decision{Action: Make, Kind: KindAsked, Tick: s.Asked.At, Batch: s.Asked.Batch, Next: s.Next}
		return d.unless(s.Overlap || s.Asked.Overlap, unsettled)
	}
	if s.Paused || s.Next.IsZero() || s.Next.After(now) {
		return Decision{}, nil
	}
	tick, missed, next := t.due(s.Next, now)
	d := Decision{
		Action: Make, Kind: KindTick, Tick: tick, Batch: BatchOfTick(s.Name, tick.In(t.Zone)), Missed: missed, Next: next,
	}
	if s.Missed == Skip && now.Sub(tick) > Grace {
		d.Action, d.Result, d.Missed = Pass, ResultMissed, missed+1
		d.Reason = "no worker was there when it was due"
		return d, nil
	}
	return d.unless(s.Overlap, unsettled)
}

// unless passes the run over where the last one has not settled.
func (d Decision) unless(overlap bool, unsettled func() (string, error)) (Decision, error) {
	if overlap {
		return d, nil
	}
	batch, err := unsettled()
	if err != nil || batch == "" {
		return d, err
	}
	d.Action, d.Result, d.Reason = Pass, ResultSkipped, "the last run, "+batch+", has not settled"
	return d, nil
}

// maxMissed is how many missed ticks are counted one by one.
const maxMissed = 10_000

// due returns the last tick by now, how many there were before it since the first, and
// the next one.
func (t *Timetable) due(first, now time.Time) (last time.Time, before int, next time.Time) {
	last = first
	for {
		next = t.Next(last)
		if next.IsZero() || next.After(now) {
			return last, before, next
		}
		last = next
		if before++; before == maxMissed && now.Sub(last) > 48*time.Hour {
			// Enough of counting: a tick of every minute, and no worker for more than a week.
			if near := t.Next(now.Add(-24 * time.Hour)); !near.IsZero() && !near.After(now) {
				last = near
			}
		}
	}
}
