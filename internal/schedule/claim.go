package schedule

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// ErrLost says that a claim is another worker's by now, or that its schedule was removed.
var ErrLost = errors.New("the run is another worker's by now")

// MakeClaim claims the run of a decision to make one, for a lease. ok is false where
// another worker was first, or the schedule has changed since it was read.
func (s *Store) MakeClaim(ctx context.Context, st State, d Decision, lease time.Duration) (Claim, bool, error) {
	c := Claim{
		Kind: d.Kind, Tick: d.Tick, Batch: d.Batch, Revision: st.Revision, Rows: st.Rows,
		Policy: st.OnFailure, PileUp: st.PileUp, Missed: d.Missed,
	}
	var err error
	c.Number, err = s.run(ctx, "claim", st.ID, st.version, lease.Milliseconds(), millis(d.Next),
		d.Kind, millis(d.Tick), d.Batch, d.Missed).Int64()
	return c, c.Number > 0, err
}

// TakeClaim takes over a run whose lease has ended. ok is false where another was first.
func (s *Store) TakeClaim(ctx context.Context, st State, lease time.Duration) (Claim, bool, error) {
	c := st.Claim
	var err error
	c.Number, err = s.run(ctx, "take", st.ID, c.Number, lease.Milliseconds()).Int64()
	return c, c.Number > 0, err
}

// Renew keeps a claim for another lease, or returns ErrLost.
func (s *Store) Renew(ctx context.Context, id string, c Claim, lease time.Duration) error {
	return held(s.run(ctx, "renew", id, c.Number, lease.Milliseconds(), "").Int())
}

// GiveBack lets another worker take the run over, after a while. why, where not "", is
// what went wrong.
func (s *Store) GiveBack(ctx context.Context, id string, c Claim, after time.Duration, why string) error {
	return held(s.run(ctx, "renew", id, c.Number, after.Milliseconds(), why).Int())
}

// perSlice is how many chains one script writes down.
const perSlice = 500

// DecidePassed writes down which chains the run of a claim passes over. Nothing of the
// run may be enqueued before. Where that was done already, it changes nothing.
func (s *Store) DecidePassed(ctx context.Context, id string, c Claim, chains func(yield func(string, error) bool)) error {
	args := []any{c.Number, false}
	send := func(last bool) error {
		args[1] = last
		err := s.run(ctx, "decided", id, args...).Err()
		args = args[:2]
		return err
	}
	for chain, err := range chains {
		if err != nil {
			return err
		}
		if args = append(args, chain); len(args) >= perSlice {
			if err := send(false); err != nil {
				return err
			}
		}
	}
	return send(true)
}

// Passed returns the chains that the run of a claim passes over, or ErrLost.
func (s *Store) Passed(ctx context.Context, id string, c Claim) (map[string]struct{}, error) {
	v, err := s.rdb.HMGet(ctx, s.hash(id), "claim", "claim_first", "claim_decided").Result()
	if err != nil {
		return nil, err
	}
	first, _ := v[1].(string)
	if v[0] != strconv.FormatInt(c.Number, 10) || v[2] != "1" {
		return nil, ErrLost
	}
	out := map[string]struct{}{}
	for cursor := uint64(0); ; {
		kv, next, err := s.rdb.HScan(ctx, s.key(id)+"passed:"+first, cursor, "", 1000).Result()
		if err != nil {
			return nil, err
		}
		for i := 0; i < len(kv); i += 2 {
			out[kv[i]] = struct{}{}
		}
		if cursor = next; cursor == 0 {
			return out, nil
		}
	}
}

// Finish ends the run of a claim and puts it into the history, or returns ErrLost.
func (s *Store) Finish(ctx context.Context, id string, c Claim, r Run) error {
	return held(s.run(ctx, "finish", id, c.Number, r.text()).Int())
}

// PassOver writes down that there is no run where a decision says so. ok is false where
// another worker was first, or the schedule has changed since it was read.
func (s *Store) PassOver(ctx context.Context, st State, d Decision) (ok bool, err error) {
	r := Run{Kind: d.Kind, Tick: d.Tick.UnixMilli(), Result: d.Result, Reason: d.Reason, Missed: d.Missed}
	n, err := s.run(ctx, "pass", st.ID, st.version, millis(d.Next), r.text(), d.Kind == KindAsked).Int()
	return n > 0, err
}

func held(n int, err error) error {
	if err == nil && n == 0 {
		return ErrLost
	}
	return err
}

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
