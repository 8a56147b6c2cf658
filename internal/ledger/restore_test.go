package ledger

import (
	"fmt"
	"testing"
	"time"

	"habilita/internal/quota"
)

// restored returns a call as a write-ahead log has it.
func restored(id, state string, change func(r *Restored)) *Restored {
	r := &Restored{
		Token: tok(1), Key: GivenKey(id), State: state, Attempts: 2, Code: "202", Msg: "enabled",
		Enqueued: time.UnixMilli(1000), Started: time.UnixMilli(2000), Finished: time.UnixMilli(3000),
	}
	if change != nil {
		change(r)
	}
	return r
}

func (h *harness) restore(want int, calls ...*Restored) {
	h.t.Helper()
	n, err := h.l.Restore(h.ctx, "b", calls)
	h.no(err)
	h.is(n, want)
	h.last = nil // a head may get its budget in the same step
	h.check()
}

// Calls that had ended stay ended, are counted once, and the chain goes on behind them.
func TestRestoreEnded(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b", "hold", calls(tok(1), "", "a", "b", "c"))
		for range 2 { // again changes nothing
			done := 2
			if h.call("b", tok(1), "a").State != StateQueued {
				done = 0
			}
			h.restore(done, restored("a", RestoreSucceeded, func(r *Restored) { r.Reason = "bad_token" }), restored("b", RestoreSkipped, nil))
		}
		a := h.call("b", tok(1), "a")
		if a.Reason != "bad_token" {
			t.Errorf("reason %q", a.Reason)
		}
		if a.State != StateSucceeded || a.Attempts != 2 || a.Code != "202" || a.StartedAt.UnixMilli() != 2000 || a.FinishedAt.UnixMilli() != 3000 {
			t.Errorf("%+v", a)
		}
		got := h.start(tok(1))
		h.is(got.Key, GivenKey("c"))
		h.is(h.end(got, Done).Status, Idle)
		h.is(h.counts("b").Succeeded, 2)
		h.is(h.counts("b").Settled(), true)
	})
}

// A call that was given up holds its chain again, until it is retried.
func TestRestoreHeld(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b", "hold", calls(tok(1), "", "a", "b", "c"))
		h.restore(2, restored("a", RestoreSucceeded, nil), restored("b", RestoreGivenUp, nil))
		h.is(h.chain(tok(1)).State, "held")
		h.is(h.counts("b").HeldChains, 1)
		h.is(h.counts("b").Settled(), true)
		h.is(h.decide(tok(1), DecisionRetry, Meant{}), true)
		got := h.start(tok(1))
		h.is(got.Key, GivenKey("b"))
		h.is(got.Number, 3)
		h.is(got.Spent, 1)
	})
}

// The other policies do again what they did.
func TestRestoreGivenUpByPolicy(t *testing.T) {
	for policy, want := range map[string]string{"skip": "fa qu qu ", "cancel": "fa ca ca "} {
		both(t, setup{}, func(h *harness) {
			h.append("b", policy, calls(tok(1), "", "a", "b", "c"))
			h.restore(1, restored("a", RestoreGivenUp, nil))
			h.is(h.states("b", tok(1), "a", "b", "c"), want)
		})
	}
}

// An attempt in flight keeps its chain until the lease has ended, and was one of the
// budget: the last one gives the call up.
func TestRestoreInFlight(t *testing.T) {
	for spent, want := range map[int]string{1: "run", 3: "held"} {
		mini(t, setup{maxAttempts: 3}, func(h *harness) {
			h.append("b", "hold", calls(tok(1), "", "a", "b"))
			ends := h.now().Add(longLease)
			limiter, err := quota.New(h.rdb, h.settings)
			h.no(err)
			h.no(limiter.Restore(h.ctx, map[string]quota.Restored{tok(1): {Leases: map[string]time.Time{"old": ends}}}))
			h.restore(1, restored("a", RestoreInFlight, func(r *Restored) {
				r.Attempts, r.Spent, r.Until, r.Nonce, r.Days = spent, spent, ends, "old", "20261123"
			}))
			h.is(h.chain(tok(1)).State, "running")
			h.is(len(h.dispatchDue().Dispatches), 0)
			h.pass(longLease + time.Millisecond)
			p := h.dispatchDue()
			h.is(p.Lost, 1)
			if want == "held" {
				h.is(h.chain(tok(1)).State, "held")
				return
			}
			got := h.begin(p.Dispatches[0])
			h.is(got.Status, Running)
			h.is(got.Attempt.Number, 2)
			h.is(got.Attempt.Spent, 2)
			h.is(got.Attempt.Failures, 1)
		})
	}
}

// A call that waits keeps its time, its budget, and the quarantine of an unknown outcome.
func TestRestoreWaiting(t *testing.T) {
	mini(t, setup{}, func(h *harness) {
		h.append("b", "hold", calls(tok(1), "", "a"))
		until := h.now().Add(20 * time.Second)
		push := h.now().Add(-time.Hour).Truncate(time.Millisecond)
		h.restore(1, restored("a", RestoreWaiting, func(r *Restored) {
			r.Spent, r.Failures, r.FirstPushBack, r.Until, r.QuarantinedUntil = 1, 4, push, h.now().Add(10*time.Second), until
		}))
		h.is(len(h.dispatchDue().Dispatches), 0)
		h.pass(10 * time.Second)
		h.is(why(h.begin(h.dispatch(tok(1)))), "deferred unknown")
		h.pass(10*time.Second + time.Millisecond)
		got := h.start(tok(1))
		h.is(got.Number, 3)
		h.is(got.Spent, 2)
		h.is(got.Failures, 4)
		h.is(got.FirstPushBack.Equal(push), true)
	})
}

// A call that succeeded behind one that is open again (it was given up and is retried) is
// not made again.
func TestRestoreBehindTheHead(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b", "skip", calls(tok(1), "", "a", "b", "c"))
		h.restore(2, restored("a", RestoreWaiting, nil), restored("b", RestoreSucceeded, nil))
		for _, want := range []string{"a", "c"} {
			got := h.start(tok(1))
			h.is(got.Key, GivenKey(want))
			h.end(got, Done)
		}
		h.is(h.counts("b").Succeeded, 3)
	})
}

// A call that was given up and let its chain go on stays so behind another head, too.
func TestRestoreGivenUpBehindTheHead(t *testing.T) {
	for _, policy := range []string{"skip", "cancel"} {
		both(t, setup{}, func(h *harness) {
			h.append("b", policy, calls(tok(1), "", "a", "b", "c"))
			h.restore(2, restored("a", RestoreWaiting, nil), restored("b", RestoreGivenUp, nil))
			h.is(h.counts("b").Failed, 1)
			for _, want := range []string{"a", "c"} {
				got := h.start(tok(1))
				h.is(got.Key, GivenKey(want))
				h.end(got, Done)
			}
			h.is(h.counts("b").Succeeded, 2)
		})
	}
}

func TestRestoreMany(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.unchecked = true
		var ids []string
		var all []*Restored
		for i := range 1500 {
			id := tok(i)
			ids = append(ids, id)
			if i < 1400 {
				all = append(all, restored(id, RestoreSucceeded, nil))
			}
		}
		h.append("b", "hold", calls(tok(1), "", ids...))
		h.restore(1400, all...)
		h.is(h.start(tok(1)).Key, GivenKey(ids[1400]))
		h.is(h.counts("b").Open(), 100)
	})
}

// Chains whose calls alternate, as a write-ahead log has them: each goes on where it was,
// whatever became of its own calls and the others'.
func TestRestoreByParts(t *testing.T) {
	for policy, behind := range map[string]string{"hold": "qu qu ", "skip": "qu qu ", "cancel": "ca ca "} {
		both(t, setup{}, func(h *harness) {
			names := []string{"done", "skipped", "given-up", "waits", "open-again"}
			log := map[string]string{"done": "ssss", "skipped": "sk", "given-up": "sf", "waits": "sw", "open-again": "sws"}
			for _, name := range names {
				h.append("b", policy, calls(tok(1), name, name+"0", name+"1", name+"2", name+"3"))
			}
			var all []*Restored
			for place := range 4 {
				for _, name := range names {
					if states := log[name]; place < len(states) {
						all = append(all, restored(fmt.Sprint(name, place), states[place:place+1], func(r *Restored) { r.Chain = name }))
					}
				}
			}
			h.restore(len(all), all...)
			h.restore(0, all...)
			have := ""
			for i, name := range names {
				if i > 0 {
					have += "/ "
				}
				have += h.states("b", tok(1), name+"0", name+"1", name+"2", name+"3")
			}
			h.is(have, "su su su su / su sk qu qu / su fa "+behind+"/ su wa qu qu / su wa su qu ")
		})
	}
}
