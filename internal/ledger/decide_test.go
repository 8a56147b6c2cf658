package ledger

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// giveUp makes the head of a chain be given up.
func (h *harness) giveUp(chain string) *Step {
	h.t.Helper()
	return h.finish(h.start(chain), Outcome{Kind: GiveUp, Code: "401", Err: "refused"}, true)
}

func TestPolicyHold(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"))
		h.append("b2", "skip", calls(tok(1), "", "c"))
		h.is(h.giveUp(tok(1)).Status, Held)
		c := h.chain(tok(1))
		h.is(fmt.Sprint(c.State, " ", c.Head.Error, " ", c.Behind), "held refused 2")
		h.is(c.Since.IsZero() || !c.Until.IsZero(), false)
		h.append("b2", "skip", calls(tok(1), "", "d"))
		one, two := h.counts("b1"), h.counts("b2")
		h.is(fmt.Sprint(one.Failed, one.HeldChains, one.Blocked, one.Settled()), "1 1 1 true")
		h.is(fmt.Sprint(two.Failed, two.HeldChains, two.Blocked, two.Settled()), "0 0 2 true")
		h.append("b2", "skip", calls(tok(2), "", "e"))
		h.is(h.counts("b2").Settled(), false)
		h.pass(shortLease)
		h.dispatchDue()
		h.is(h.chain(tok(1)).State, "held")
	})
}

func TestPolicySkip(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "skip", calls(tok(1), "", "a", "b"))
		s := h.giveUp(tok(1))
		h.is(fmt.Sprint(s.Status, s.Attempt.Key), "run=b")
		h.is(h.finish(s.Attempt, Outcome{Kind: GiveUp}, true).Status, Idle)
		n := h.counts("b1")
		h.is(fmt.Sprint(n.Failed, n.HeldChains, n.Open(), n.Settled()), "2 0 0 true")
		h.is(h.cancelBatch("b1"), 0) // what failed stays failed
		h.is(h.states("b1", tok(1), "a", "b"), "fa fa ")
	})
}

func TestPolicyCancel(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "cancel", calls(tok(1), "", "a"))
		h.append("b2", "hold", calls(tok(1), "", "x"))
		h.append("b1", "cancel", calls(tok(1), "", "b", "c"), calls(tok(1), "other", "o"), calls(tok(2), "", "d"))
		later := calls(tok(1), "", "e")
		// Late enough that the steps before are over by then, on any machine.
		due := h.now().Add(time.Second)
		later[0].At = due
		h.append("b1", "cancel", later)
		s := h.giveUp(tok(1))
		h.is(fmt.Sprint(s.Status, s.Attempt.Key), "run=x")
		h.is(h.states("b1", tok(1), "a", "b", "c", "o", "e"), "fa ca ca qu qu ")
		h.append("b1", "cancel", calls(tok(1), "", "f"), calls(tok(2), "", "g"))
		h.is(h.states("b1", tok(1), "f"), "ca ")
		h.is(h.end(s.Attempt, Done).Status, Idle)
		// A scheduled call that becomes due when the chain is idle belongs to it too.
		h.pass(due.Sub(h.now()) + 10*time.Millisecond)
		h.dispatchDue()
		h.is(h.states("b1", tok(1), "e"), "ca ")
		h.is(h.chain(tok(1)).State, "")
		h.is(h.states("b1", tok(2), "d", "g"), "qu qu ")
		n := h.counts("b1")
		h.is(fmt.Sprint(n.Total, n.Failed, n.Cancelled, n.Open()), "8 1 4 3")
	})
}

func TestRetryStartsANewBudget(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"))
		a := h.start(tok(1))
		h.finish(a, Outcome{Kind: PushBack}, false)
		h.giveUp(tok(1))
		h.is(h.decide(tok(2), DecisionRetry, Meant{}), false)
		h.is(h.decide(tok(1), DecisionRetry, Meant{Batch: "b9"}), false)
		h.is(h.decide(tok(1), DecisionRetry, Meant{Server: "0009"}), false)
		h.is(h.counts("b1").HeldChains, 1)
		h.is(h.decide(tok(1), DecisionRetry, Meant{Batch: "b1", Server: "0001"}), true)
		h.is(h.decide(tok(1), DecisionRetry, Meant{}), false)
		n := h.counts("b1")
		h.is(fmt.Sprint(n.Failed, n.HeldChains, n.Blocked, n.Settled()), "0 0 0 false")
		h.is(h.states("b1", tok(1), "a", "b"), "qu qu ")
		tags, err := h.l.NextReady(h.ctx, time.Second, 10)
		h.no(err)
		h.is(fmt.Sprint(tags), "[ab]")
		a = h.start(tok(1))
		h.is(fmt.Sprint(a.Key, a.Number, a.Spent, a.Failures, a.FirstPushBack.IsZero()), "=a3 1 0 true")
		h.is(h.finish(a, Outcome{Kind: Done}, true).Attempt.Key, "=b")
	})
}

func TestSkipGoesOn(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"))
		h.giveUp(tok(1))
		h.is(h.decide(tok(1), DecisionSkip, Meant{}), true)
		h.is(h.states("b1", tok(1), "a", "b"), "sk qu ")
		h.giveUp(tok(1))
		h.is(h.decide(tok(1), DecisionSkip, Meant{}), true)
		h.is(h.chain(tok(1)).State, "")
		n := h.counts("b1")
		h.is(fmt.Sprint(n.Total, n.Skipped, n.Failed, n.HeldChains, n.Settled()), "2 2 0 0 true")
	})
}

// spread makes calls of b1 wait wherever calls wait.
func (h *harness) spread() (running Attempt) {
	h.append("b1", "hold", calls(tok(1), "", "run", "behind"))
	h.append("b2", "hold", calls(tok(1), "", "other"))
	h.append("b1", "hold", calls(tok(2), "", "waiting", "w2"), calls(tok(3), "", "held", "h2"))
	h.append("b2", "hold", calls(tok(3), "", "h3"))
	h.append("b2", "hold", calls(tok(4), "", "x"))
	h.append("b1", "hold", calls(tok(4), "", "blocked"))
	h.append("b1", "hold", calls(tok(5), "", "dispatched"))
	h.append("b1", "hold", calls(tok(7), "", "s1", "s1b"), calls(tok(7), "2", "s2"), calls(tok(7), "3", "slot"))
	delayed := calls(tok(1), "two words", "delayed")
	delayed[0].At = h.now().Add(time.Hour)
	h.append("b1", "hold", delayed)
	running = h.start(tok(1))
	h.finish(h.start(tok(2)), Outcome{Kind: Fail, Delay: time.Hour}, false)
	h.giveUp(tok(3))
	h.giveUp(tok(4))
	h.start(tok(7))
	h.start(ChainID(tok(7), "2"))
	h.is(why(h.begin(h.dispatch(ChainID(tok(7), "3")))), "deferred slots")
	h.append("b1", "hold", calls(tok(6), "", "ready"))
	return running
}

func TestCancelBatchWhereverItWaits(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		running := h.spread()
		n := h.counts("b1")
		h.is(fmt.Sprint(n.Total, n.Failed, n.Blocked, n.HeldChains), "14 1 2 1")
		h.is(h.cancelBatch("b1"), 11)
		n = h.counts("b1")
		h.is(fmt.Sprint(n.Cancelled, n.Open(), n.Failed, n.HeldChains, n.Blocked), "11 3 0 0 0")
		h.is(h.states("b1", tok(1), "run", "behind", "delayed"), "ru ca ca ")
		h.is(h.states("b2", tok(3), "h3"), "qu ")
		h.is(h.chain(tok(3)).State, "ready")
		h.is(h.chain(tok(4)).State, "held") // the head is of another batch
		h.is(h.counts("b2").HeldChains, 1)
		h.is(h.chain(tok(5)).State, "")
		h.is(h.begin(h.dispatched[tok(5)]).Status, Stale)
		h.is(h.cancelBatch("b1"), 0)
		// Later calls are refused, until the batch is opened again.
		late := Append{Batch: "b1", Policy: "hold", Calls: append(calls(tok(1), "", "late"), calls(tok(9), "", "late")...)}
		_, err := h.l.Append(h.ctx, late)
		h.is(errors.Is(err, ErrCancelled), true)
		h.is(h.counts("b1").Total, 14)
		// The running call ends as it ends.
		s := h.finish(running, Outcome{Kind: Done}, true)
		h.is(s.Attempt.Key, "=other")
		h.is(h.states("b1", tok(1), "run"), "su ")
		// Calls that were cancelled unsent are new then; calls that were sent are not.
		h.no(h.l.Reopen(h.ctx, "b1", []string{testTag}))
		late.Calls = append(late.Calls, calls(tok(1), "", "run", "behind", "delayed")...)
		h.is(fmt.Sprint(news(h.appendAs(late))), "[true true false true true]")
		h.is(h.states("b1", tok(1), "run", "behind", "delayed"), "su qu qu ")
		h.end(s.Attempt, Done)
		h.order(tok(1), "late", "behind", "delayed")
	})
}

// A call that ran when its batch was cancelled is not tried again.
func TestCancelledBatchIsNotTriedAgain(t *testing.T) {
	for _, kind := range []Kind{Fail, PushBack, NotSent, Late, GiveUp} {
		t.Run(string(kind), func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				h.append("b1", "hold", calls(tok(1), "", "a"))
				h.append("b2", "hold", calls(tok(1), "", "b"))
				a := h.start(tok(1))
				h.cancelBatch("b1")
				s := h.finish(a, Outcome{Kind: kind, Err: "why"}, true)
				h.is(s.Attempt.Key, "=b")
				c := h.call("b1", tok(1), "a")
				h.is(string(c.State)+c.Error, "cancelledwhy")
				h.is(h.counts("b1").Settled(), true)
			})
		})
	}
	t.Run("lost", func(t *testing.T) {
		both(t, setup{lease: shortLease}, func(h *harness) {
			h.append("b1", "hold", calls(tok(1), "", "a"))
			h.start(tok(1))
			h.cancelBatch("b1")
			h.pass(shortLease)
			h.is(h.dispatchDue().Lost, 1)
			h.is(h.states("b1", tok(1), "a"), "ca ")
			h.is(h.chain(tok(1)).State, "")
		})
	})
}

func TestCancelChain(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"), calls(tok(2), "", "c", "d"), calls(tok(3), "", "e"))
		h.append("b2", "hold", calls(tok(1), "", "x"))
		h.start(tok(2))
		h.giveUp(tok(1))
		h.is(h.cancelChain(tok(3), Meant{}, true), 0)
		h.is(h.cancelChain(tok(1), Meant{Server: "0009"}, false), 0)
		h.is(h.cancelChain(tok(1), Meant{Batch: "b2"}, false), 0)
		h.is(h.cancelChain(tok(9), Meant{}, false), 0)
		h.is(h.cancelChain(tok(1), Meant{Batch: "b1", Server: "0001"}, true), 3)
		h.is(h.chain(tok(1)).State, "")
		h.is(h.states("b1", tok(1), "a", "b")+h.states("b2", tok(1), "x"), "ca ca ca ")
		h.is(h.cancelChain(tok(2), Meant{}, false), 1) // not the one that runs
		h.is(h.states("b1", tok(2), "c", "d"), "ru ca ")
		f := h.dispatch(tok(3))
		h.is(h.cancelChain(tok(3), Meant{}, false), 1)
		h.is(h.begin(f).Status, Stale)
		n := h.counts("b1")
		h.is(fmt.Sprint(n.Total, n.Cancelled, n.Failed, n.HeldChains, n.Blocked, n.Open()), "5 4 0 0 0 1")
	})
}

func TestLargeChainIsCancelledInSlices(t *testing.T) {
	ways := map[string]func(h *harness) int{
		"chain": func(h *harness) int {
			slices, total := 0, 0
			for {
				r, err := h.l.runOnce(h.ctx, h.l.cancelChain, testTag, tok(1), "", "0", "")
				h.no(err)
				slices++
				h.is(r.Int(1) <= 501, true)
				total += int(r.Int(1))
				if r.Int(2) == 0 {
					h.is(slices >= 10, true)
					return total
				}
			}
		},
		"batch": func(h *harness) int { return h.cancelBatch("b1") },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				h.unchecked = true
				h.fill(5000)
				h.is(way(h), 5000)
				h.invariants()
				h.is(h.counts("b1").Cancelled, 5000)
			})
		})
	}
}

// The references of cancelled calls are passed over in slices too.
func TestPassingOverManyCancelledCalls(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.unchecked = true
		h.append("b0", "cancel", calls(tok(1), "", "first"))
		a := h.start(tok(1))
		h.fill(1700)
		h.append("b2", "hold", calls(tok(1), "", "last"))
		h.cancelBatch("b1")
		s := h.finish(a, Outcome{Kind: Done}, true)
		runs := 1
		for ; s.Status == Again || s.Status == Ready; runs++ {
			h.invariants()
			s = h.begin(h.dispatch(tok(1)))
		}
		h.is(fmt.Sprint(s.Status, s.Attempt.Key), "run=last")
		h.is(runs > 1, true)
		h.invariants()
	})
}

func TestPolicyCancelOfALargeBatch(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.unchecked = true
		h.append("b1", "cancel", calls(tok(1), "", "first"))
		a := h.start(tok(1))
		h.fill(1700)
		h.append("b2", "hold", calls(tok(1), "", "last"))
		s := h.finish(a, Outcome{Kind: GiveUp}, true)
		for s.Status == Again || s.Status == Ready {
			s = h.begin(h.dispatch(tok(1)))
		}
		h.is(fmt.Sprint(s.Status, s.Attempt.Key), "run=last")
		h.invariants()
		h.is(h.counts("b1").Cancelled, 1700)
	})
}

// A chain whose head is being looked for can be cancelled as well.
func TestCancelChainBetweenHeads(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.unchecked = true
		h.append("b0", "hold", calls(tok(1), "", "first"))
		a := h.start(tok(1))
		h.fill(1200)
		h.append("b2", "hold", calls(tok(1), "", "last"))
		h.cancelBatch("b1")
		h.end(a, Done)
		h.is(h.cancelChain(tok(1), Meant{}, false), 1)
		h.is(h.states("b2", tok(1), "last"), "ca ")
		h.is(h.chain(tok(1)).State, "")
		h.invariants()
	})
}

// fill appends n calls of b1 to the chain tok(1).
func (h *harness) fill(n int) {
	h.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	policy := "hold"
	if p := h.rdb.HGet(h.ctx, h.prefix+":{ab}:counts:b1", "p").Val(); p != "" {
		policy = p
	}
	for part := range slices.Chunk(ids, 1000) {
		h.is(newOnes(h.append("b1", policy, calls(tok(1), "", part...))), len(part))
	}
}
