package schedule

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestClaimHasOneWinner(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.mustAdd(nightly, 1)
		var won atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				_, ok, err := w.MakeClaim(t.Context(), s, w.due(s), lease)
				if err != nil {
					t.Error(err)
				}
				if ok {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d claimed it", won.Load())
		}
		after := w.get("nightly")
		if after.Claim.Number == 0 || after.Claim.Batch != "nightly@2027-01-15T08:00Z" || !after.Next.Equal(w.due(s).Next) || after.Last != after.Claim.Batch {
			t.Errorf("%+v", after)
		}
		// Nor can it be taken over while the lease lasts, or claimed again with what is known now.
		if _, ok, err := w.TakeClaim(t.Context(), after, lease); ok || err != nil {
			t.Errorf("taken over: %v, %v", ok, err)
		}
		if _, ok, err := w.MakeClaim(t.Context(), after, w.due(after), lease); ok || err != nil {
			t.Errorf("claimed again: %v, %v", ok, err)
		}
	})
}

func TestTakeOverHasOneWinnerAndFencesTheOther(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.mustAdd(nightly, 1)
		first := w.claimIt(s, 0) // its worker is gone at once
		s = w.get("nightly")
		var won atomic.Int64
		var second Claim
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if c, ok, err := w.TakeClaim(t.Context(), s, lease); err != nil {
					t.Error(err)
				} else if ok {
					won.Add(1)
					second = c
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || second.Number <= first.Number || second.Batch != first.Batch || second.Revision != first.Revision {
			t.Fatalf("%d took it over: %+v, before %+v", won.Load(), second, first)
		}
		// The first one wakes up.
		ctx := t.Context()
		for what, err := range map[string]error{
			"renew":  w.Renew(ctx, s.ID, first, lease),
			"back":   w.GiveBack(ctx, s.ID, first, 0, "x"),
			"finish": w.Finish(ctx, s.ID, first, Run{Result: ResultFailed}),
		} {
			if !errors.Is(err, ErrLost) {
				t.Errorf("%s: %v", what, err)
			}
		}
		w.must(w.DecidePassed(ctx, s.ID, first, chains("late")))
		w.must(w.DecidePassed(ctx, s.ID, second, chains("held")))
		if _, err := w.Passed(ctx, s.ID, first); !errors.Is(err, ErrLost) {
			t.Errorf("passed: %v", err)
		}
		if got, err := w.Passed(ctx, s.ID, second); err != nil || len(got) != 1 {
			t.Errorf("passed: %v, %v", got, err)
		}
		w.must(w.Renew(ctx, s.ID, second, lease))
		w.must(w.Finish(ctx, s.ID, second, Run{Result: ResultMade, Batch: second.Batch}))
		if err := w.Finish(ctx, s.ID, second, Run{}); !errors.Is(err, ErrLost) {
			t.Errorf("finished twice: %v", err)
		}
		if runs, err := w.Runs(ctx, "nightly"); err != nil || len(runs) != 1 || runs[0].Result != ResultMade || runs[0].Finished == 0 {
			t.Errorf("%+v, %v", runs, err)
		}
		if s = w.get("nightly"); s.Claim != (Claim{}) {
			t.Errorf("%+v", s.Claim)
		}
	})
}

func chains(ids ...string) func(func(string, error) bool) {
	return func(yield func(string, error) bool) {
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// What a run passes over is decided once: a worker that takes the run over goes by the same.
func TestPassedIsDecidedOnce(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.mustAdd(nightly, 1)
		c := w.claimIt(s, 0)
		var many []string
		for i := range 3*perSlice + 1 {
			many = append(many, fmt.Sprint("chain", i))
		}
		cutOff := errors.New("cut off")
		err := w.DecidePassed(t.Context(), s.ID, c, func(yield func(string, error) bool) {
			for _, id := range many[:perSlice+1] {
				if !yield(id, nil) {
					return
				}
			}
			yield("", cutOff)
		})
		if !errors.Is(err, cutOff) {
			t.Fatal(err)
		}
		if _, err := w.Passed(t.Context(), s.ID, c); !errors.Is(err, ErrLost) {
			t.Errorf("half of them are all: %v", err)
		}
		c, ok, err := w.TakeClaim(t.Context(), w.get("nightly"), 0)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		w.must(w.DecidePassed(t.Context(), s.ID, c, chains(many...)))
		c, ok, err = w.TakeClaim(t.Context(), w.get("nightly"), 0)
		if !ok || err != nil || !c.Decided {
			t.Fatal(ok, err)
		}
		w.must(w.DecidePassed(t.Context(), s.ID, c, chains("another")))
		got, err := w.Passed(t.Context(), s.ID, c)
		if _, is := got["another"]; err != nil || len(got) != len(many) || is {
			t.Errorf("%d chains, %v", len(got), err)
		}
		w.must(w.Finish(t.Context(), s.ID, c, Run{Result: ResultMade}))
		if keys := w.keysLike("*:passed:*"); len(keys) != 0 {
			t.Errorf("left: %v", keys)
		}
	})
}

func TestGivenBackAfterFailure(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.mustAdd(nightly, 1)
		c := w.claimIt(s, lease)
		w.must(w.GiveBack(t.Context(), s.ID, c, 0, "Redis is full"))
		s = w.get("nightly")
		if s.Claim.Tries != 1 || s.Claim.Error != "Redis is full" || s.Claim.Started.IsZero() {
			t.Errorf("%+v", s.Claim)
		}
		if c, ok, err := w.TakeClaim(t.Context(), s, lease); !ok || err != nil || c.Tries != 1 {
			t.Errorf("%+v, %v, %v", c, ok, err)
		}
	})
}

func TestPassOverKeepsAHistory(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.mustAdd(nightly, 1)
		for i := range 25 {
			s := w.get("nightly")
			d := w.due(s)
			d.Result, d.Reason, d.Next = ResultSkipped, fmt.Sprint("reason ", i), d.Next.Add(time.Duration(i)*time.Hour)
			if ok, err := w.PassOver(t.Context(), s, d); !ok || err != nil {
				t.Fatal(ok, err)
			}
			if ok, err := w.PassOver(t.Context(), s, d); ok || err != nil {
				t.Fatalf("twice: %v, %v", ok, err)
			}
		}
		runs, err := w.Runs(t.Context(), "nightly")
		if err != nil || len(runs) != 20 || runs[0].Reason != "reason 24" || runs[19].Reason != "reason 5" || runs[0].Batch != "" {
			t.Errorf("%+v, %v", runs, err)
		}
	})
}
