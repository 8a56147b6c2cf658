package ledger

import (
	"fmt"
	"testing"
	"time"
)

func TestLostRunIsDispatchedAgainAndGivenUp(t *testing.T) {
	both(t, setup{lease: shortLease, maxAttempts: 2}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"))
		f := h.dispatch(tok(1))
		h.begin(f)
		h.pass(shortLease)
		p := h.dispatchDue()
		h.is(fmt.Sprint(p.Lost, len(p.Dispatches)), "1 1")
		h.is(p.Dispatches[0].Number == f.Number, false)
		c := h.call("b1", tok(1), "a")
		h.is(string(c.State), "waiting")
		h.is(c.Error != "", true)
		h.is(h.begin(f).Status, Stale)
		s := h.begin(p.Dispatches[0])
		h.is(fmt.Sprint(s.Attempt.Number, s.Attempt.Spent, s.Reclaimed), "2 2 1")
		h.pass(shortLease)
		p = h.dispatchDue()
		h.is(fmt.Sprint(p.Lost, len(p.Dispatches)), "1 0")
		h.is(h.states("b1", tok(1), "a", "b"), "fa qu ")
		n := h.counts("b1")
		h.is(fmt.Sprint(n.Failed, n.HeldChains, n.Blocked, n.Open(), n.Settled()), "1 1 1 1 true")
		h.is(h.chain(tok(1)).State, "held")
	})
}

func TestLateSuccessStillCounts(t *testing.T) {
	steps := map[string]func(h *harness){
		"ready":          func(h *harness) { _, err := h.dispatchBucket(testTag, 0); h.no(err); h.check() },
		"dispatched":     func(h *harness) { h.dispatchDue() },
		"held":           func(h *harness) { h.dispatchDue(); h.begin(h.dispatched[tok(1)]); h.pass(shortLease); h.dispatchDue() },
		"not dispatched": func(*harness) {},
	}
	for name, until := range steps {
		t.Run(name, func(t *testing.T) {
			both(t, setup{lease: shortLease, maxAttempts: 2}, func(h *harness) {
				h.append("b1", "hold", calls(tok(1), "", "a", "b"))
				a := h.start(tok(1))
				if name == "held" {
					h.pass(shortLease)
					h.dispatchDue()
					a = h.begin(h.dispatched[tok(1)]).Attempt
					h.pass(shortLease)
					h.dispatchDue()
					h.is(h.chain(tok(1)).State, "held")
				} else {
					h.pass(shortLease)
					until(h)
				}
				s := h.finish(a, Outcome{Kind: Done}, true)
				h.is(s.Status, Running)
				h.is(s.Attempt.Key, "=b")
				h.is(h.states("b1", tok(1), "a", "b"), "su ru ")
				if f, ok := h.dispatched[tok(1)]; ok {
					h.is(h.begin(f).Status, Stale)
				}
				h.is(h.finish(a, Outcome{Kind: Done}, true).Status, Stale)
				n := h.counts("b1")
				h.is(fmt.Sprint(n.Succeeded, n.Failed, n.HeldChains, n.Blocked), "1 0 0 0")
			})
		})
	}
}

func TestLateFailureOfALostRunIsStale(t *testing.T) {
	both(t, setup{lease: shortLease}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a"))
		a := h.start(tok(1))
		h.pass(shortLease)
		h.dispatchDue()
		for _, kind := range []Kind{Fail, PushBack, NotSent, GiveUp} {
			h.is(h.end(a, kind).Status, Stale)
		}
		h.begin(h.dispatched[tok(1)])
		h.is(h.end(a, Done).Status, Stale) // another attempt has followed
		h.is(h.states("b1", tok(1), "a"), "ru ")
	})
}

// An attempt whose outcome is unknown may be at the vendor until its lease ends: the
// chain has no other until then, whatever becomes of the call.
func TestUnknownOutcomeQuarantinesTheChain(t *testing.T) {
	ways := map[string]struct {
		policy string
		do     func(h *harness, a Attempt)
	}{
		"fail": {"hold", func(h *harness, a Attempt) { h.finish(a, Outcome{Kind: Fail, Slot: Keep}, true) }},
		"retry": {"hold", func(h *harness, a Attempt) {
			h.finish(a, Outcome{Kind: GiveUp, Slot: Keep}, true)
			h.decide(a.Chain, DecisionRetry, Meant{})
		}},
		"skip": {"hold", func(h *harness, a Attempt) {
			h.finish(a, Outcome{Kind: GiveUp, Slot: Keep}, true)
			h.decide(a.Chain, DecisionSkip, Meant{})
		}},
		"policy": {"skip", func(h *harness, a Attempt) {
			h.is(why(h.finish(a, Outcome{Kind: GiveUp, Slot: Keep}, true)), "deferred unknown")
		}},
		"batch cancelled": {"hold", func(h *harness, a Attempt) {
			h.append("b2", "hold", calls(tok(1), "", "c"))
			h.finish(a, Outcome{Kind: Fail, Slot: Keep}, true)
			h.is(h.cancelBatch("b1"), 2)
		}},
		"cancelled while it ran": {"hold", func(h *harness, a Attempt) {
			h.append("b2", "hold", calls(tok(1), "", "c"))
			h.is(h.cancelBatch("b1"), 1)
			h.is(why(h.finish(a, Outcome{Kind: Fail, Slot: Keep}, true)), "deferred unknown")
		}},
		"chain cancelled": {"hold", func(h *harness, a Attempt) {
			h.finish(a, Outcome{Kind: Fail, Slot: Keep}, true)
			h.is(h.cancelChain(a.Chain, Meant{}, false), 2)
			h.append("b2", "hold", calls(tok(1), "", "c"))
		}},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				h.append("b1", way.policy, calls(tok(1), "", "a", "b"))
				a := h.start(tok(1))
				way.do(h, a)
				if _, slots := h.peek(tok(1)); slots != 1 {
					t.Fatalf("%d slots are taken", slots)
				}
				// Another chain of the token has the other slot meanwhile.
				h.append("b3", "hold", calls(tok(1), "x", "z"))
				h.is(h.begin(h.dispatch(ChainID(tok(1), "x"))).Status, Running)
				if f, ok := h.dispatched[tok(1)]; ok {
					s := h.begin(f)
					h.is(why(s), "deferred unknown")
					h.is(s.Until.Equal(a.LeaseEnds), true)
				}
				h.is(h.chain(tok(1)).State, "waiting")
				if h.b.SetTime == nil {
					return // it would take a lease
				}
				h.pass(a.LeaseEnds.Sub(h.now()))
				h.is(h.start(tok(1)).Chain, tok(1))
			})
		})
	}
}

func TestUnknownOutcomeThatBecameKnown(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"))
		a := h.start(tok(1))
		s := h.finish(a, Outcome{Kind: Fail, Slot: Keep}, true)
		h.is(s.Until.Equal(a.LeaseEnds), true)
		s = h.finish(a, Outcome{Kind: Done}, true)
		h.is(s.Status, Running)
		h.is(s.Attempt.Key, "=b")
	})
}

func TestDispatchedButNotBegun(t *testing.T) {
	mini(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a"))
		f := h.dispatch(tok(1))
		wait := 10 * time.Second
		for range 3 {
			p := h.dispatchDue()
			h.is(p.NextDue.Equal(h.now().Add(wait)), true)
			h.pass(wait - time.Millisecond)
			h.is(len(h.dispatchDue().Dispatches), 0)
			h.pass(time.Millisecond)
			p = h.dispatchDue()
			h.is(len(p.Dispatches), 1)
			h.is(h.begin(f).Status, Stale)
			f = p.Dispatches[0]
			wait *= 2
		}
		// A run that began, and was deferred, is an answer: the grace begins anew.
		h.append("b1", "hold", calls(tok(1), "x", "b"), calls(tok(1), "y", "c"))
		h.start(ChainID(tok(1), "x"))
		h.start(ChainID(tok(1), "y"))
		h.is(why(h.begin(f)), "deferred slots")
		h.pass(longLease)
		h.dispatched = map[string]Dispatch{}
		h.dispatchDue()
		h.is(h.dispatched[tok(1)].Chain, tok(1))
		h.pass(10 * time.Second)
		h.dispatched = map[string]Dispatch{}
		h.dispatchDue()
		h.is(h.dispatched[tok(1)].Chain, tok(1))
	})
}

// When somebody notices that its lease has ended, a living worker still has the grace to record
// its outcome, of whatever kind. Until then nobody else gets the chain.
func TestOutcomeIsTakenWithinTheGrace(t *testing.T) {
	outcomes := map[Kind]Status{Done: Idle, Fail: Waiting, PushBack: Waiting, NotSent: Waiting, Late: Waiting, GiveUp: Held}
	for kind, want := range outcomes {
		t.Run(string(kind), func(t *testing.T) {
			both(t, setup{lease: shortLease, grace: time.Minute}, func(h *harness) {
				h.append("b1", "hold", calls(tok(1), "", "a"))
				a := h.start(tok(1))
				h.pass(shortLease)
				for range 4 { // whoever looks again does not shorten it
					p := h.dispatchDue()
					h.is(fmt.Sprint(p.Lost, len(p.Dispatches)), "0 0")
					h.is(p.NextDue.Sub(a.LeaseEnds) >= h.l.o.Grace/2, true)
				}
				h.is(h.end(a, kind).Status, want)
				h.is(h.rdb.HExists(h.ctx, h.prefix+":{ab}:chain:"+tok(1), "m").Val(), false)
			})
		})
	}
}

// Nobody waits longer than lease and grace for a worker that is gone, or stood still. What the looks
// at its chain noted does not count as a dispatch that went unanswered.
func TestGraceEnds(t *testing.T) {
	both(t, setup{lease: shortLease, grace: 200 * time.Millisecond}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a"))
		a := h.start(tok(1))
		h.pass(shortLease)
		p, looks := h.dispatchDue(), 1
		for ; p.Lost == 0; looks++ {
			h.pass(h.l.o.Grace / 2)
			p = h.dispatchDue()
		}
		// On a real Redis a look may be late.
		h.is(looks == 3 || h.b.SetTime == nil && looks > 3, true)
		h.is(len(p.Dispatches), 1)
		h.is(p.NextDue.Equal(p.Now.Add(10*time.Second)), true)
		h.is(h.begin(p.Dispatches[0]).Attempt.Number, 2)
		h.is(h.end(a, Done).Status, Stale)
	})
}

// Redis refuses writes for longer than a lease, takes them for a moment, and refuses them again: the
// grace that began in that moment does not end before the worker could record its outcome.
func TestGraceBeginsAnewAtALateLook(t *testing.T) {
	for name, until := range map[string][]time.Duration{
		"refused once more":  {10 * time.Second},
		"refused for hours":  {6 * time.Hour},
		"refused many times": {3 * time.Second, time.Minute, 3 * time.Second, time.Hour},
		"after two looks":    {time.Second, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			mini(t, setup{lease: shortLease, grace: 2 * time.Second}, func(h *harness) {
				h.append("b1", "hold", calls(tok(1), "", "a"))
				a := h.start(tok(1))
				h.pass(shortLease)
				h.is(h.dispatchDue().Lost, 0) // in the moment
				for _, d := range until {
					h.pass(d)
					h.is(h.dispatchDue().Lost, 0)
					h.pass(h.l.o.Grace/2 - time.Millisecond) // time for the worker
					h.is(h.dispatchDue().Lost, 0)
				}
				h.is(h.end(a, Done).Status, Idle)
			})
		})
	}
}

// A call does not wait for ever for a worker that is gone, however late each look is.
func TestLateLooksCountInTheEnd(t *testing.T) {
	mini(t, setup{lease: shortLease, grace: 2 * time.Second}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a"))
		h.start(tok(1))
		h.pass(shortLease)
		minutes := 0
		for ; h.dispatchDue().Lost == 0 && minutes < 20; minutes++ {
			h.pass(time.Minute)
		}
		h.is(minutes >= 10 && minutes <= 12, true)
	})
}
