package schedule

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
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
	c.Number, err = number(s.run(ctx, "claim", st.ID, st.version, lease.Milliseconds(), millis(d.Next),
		d.Kind, millis(d.Tick), d.Batch, d.Missed))
	return c, c.Number > 0, err
}

// TakeClaim takes over a run whose lease has ended. ok is false where another was first.
func (s *Store) TakeClaim(ctx context.Context, st State, lease time.Duration) (Claim, bool, error) {
	c := st.Claim
	var err error
	c.Number, err = number(s.run(ctx, "take", st.ID, strconv.FormatInt(c.Number, 10), lease.Milliseconds()))
	return c, c.Number > 0, err
}

func number(cmd *redis.Cmd) (int64, error) {
	text, err := cmd.Text()
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
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
	args := []any{c.Number, "0"}
	send := func(last bool) error {
		args[1] = flag(last)
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
	n, err := s.run(ctx, "pass", st.ID, st.version, millis(d.Next), r.text(), flag(d.Kind == KindAsked)).Int()
	return n > 0, err
}

func held(n int, err error) error {
	if err == nil && n == 0 {
		return ErrLost
	}
	return err
}
