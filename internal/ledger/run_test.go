package ledger

import (
	"fmt"
	"testing"
	"time"
)

func TestOneCallAfterTheOther(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b", "c"))
		p := h.dispatchDue()
		h.is(len(p.Dispatches), 1)
		h.is(len(h.dispatchDue().Dispatches), 0)
		s := h.begin(p.Dispatches[0])
		a := s.Attempt
		h.is(fmt.Sprint(s.Status, a.Chain, a.Batch, a.Key, a.Server, a.Sealed, a.Number, a.Spent, a.Failures),
			"run"+tok(1)+"b1=a0001sealed of "+tok(1)+"1 1 0")
		h.is(a.LeaseEnds.Equal(s.Now.Add(longLease)), true)
		h.is(a.FirstPushBack.IsZero() && !a.Enqueued.IsZero(), true)
		h.is(h.states("b1", tok(1), "a", "b", "c"), "ru qu qu ")
		h.is(h.chain(tok(1)).Behind, 2)
		s = h.finish(a, Outcome{Kind: Done, Code: "200", Msg: "well"}, true)
		h.is(s.Status, Running)
		h.is(s.Attempt.Key, "=b")
		c := h.call("b1", tok(1), "a")
		h.is(string(c.State)+c.Code+c.Msg, "succeeded200well")
		h.is(c.FinishedAt.IsZero() || c.StartedAt.IsZero() || c.FinishedAt.Before(c.StartedAt.Time), false)
		s = h.finish(s.Attempt, Outcome{Kind: Done}, false)
		h.is(s.Status, Ready)
		h.is(h.chain(tok(1)).State, "ready")
		s = h.finish(h.start(tok(1)), Outcome{Kind: Done}, true)
		h.is(s.Status, Idle)
		n := h.counts("b1")
		h.is(fmt.Sprint(n.Total, n.Succeeded, n.Open(), n.Settled()), "3 3 0 true")
		used, slots := h.peek(tok(1))
		h.is(fmt.Sprint(used, slots), "3 0")
	})
}

func TestStaleDispatchDoesNothing(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"))
		old := h.dispatch(tok(1))
		if ok, err := h.l.Requeue(h.ctx, old); err != nil || !ok {
			t.Fatal(ok, err)
		}
		h.is(h.begin(old).Status, Stale) // put back
		for _, id := range []string{"", "a", "mistyped", tok(9)} {
			h.is(h.begin(Dispatch{Chain: id, Number: "1"}).Status, Stale)
			h.is(h.decide(id, DecisionSkip, Meant{}), false)
		}
		f := h.dispatch(tok(1))
		h.is(h.begin(old).Status, Stale) // dispatched again
		a := h.begin(f).Attempt
		h.is(h.begin(f).Status, Stale) // running
		if ok, _ := h.l.Requeue(h.ctx, f); ok {
			t.Error("a running chain was put back")
		}
		h.end(a, Done)
		h.is(h.begin(f).Status, Stale) // ready with the next call
		h.end(h.start(tok(1)), Done)
		h.is(h.begin(f).Status, Stale) // idle
		used, slots := h.peek(tok(1))
		h.is(fmt.Sprint(used, slots), "2 0")
		h.is(h.call("b1", tok(1), "a").Attempts, 1)
	})
}

// A client sends a command again when its reply was lost.
func TestRepeatedCommandsChangeNothing(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"))
		f := h.dispatch(tok(1))
		one, err := h.l.Begin(h.ctx, f, "x", "")
		h.no(err)
		two, err := h.l.Begin(h.ctx, f, "x", "")
		h.no(err)
		one.Attempt.Used, one.Attempt.Limit = two.Attempt.Used, two.Attempt.Limit
		h.is(fmt.Sprint(two.Attempt), fmt.Sprint(one.Attempt))
		for range 2 {
			s, err := h.l.Finish(h.ctx, &one.Attempt, Outcome{Kind: Done, Slot: Release}, Own, "y", "")
			h.no(err)
			h.is(fmt.Sprint(s.Status, s.Attempt.Key, s.Attempt.Number), "run=b1")
			h.check()
		}
		used, slots := h.peek(tok(1))
		h.is(fmt.Sprint(used, slots), "2 1")
		last := Attempt{Chain: tok(1), Nonce: "y"}
		h.is(h.end(last, Done).Status, Idle)
		h.is(h.end(last, Done).Status, Stale)
		h.is(h.counts("b1").Succeeded, 2)
	})
}

func TestStaleNonceFreesItsOwnSlotOnly(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"), calls(tok(1), "x", "c"))
		a := h.start(tok(1))
		b := h.finish(a, Outcome{Kind: Done}, true).Attempt
		c := h.start(ChainID(tok(1), "x"))
		for _, kind := range []Kind{Done, Fail, PushBack, NotSent, Late, GiveUp} {
			h.is(h.finish(a, Outcome{Kind: kind, Err: "late"}, true).Status, Stale)
		}
		stranger := Attempt{Chain: b.Chain, Nonce: "never granted", Days: b.Days}
		h.is(h.finish(stranger, Outcome{Kind: GiveUp, Slot: GiveBack}, false).Status, Stale)
		h.is(h.states("b1", tok(1), "a", "b", "c"), "su ru ru ")
		used, slots := h.peek(tok(1))
		h.is(fmt.Sprint(used, slots), "3 2")
		h.is(h.end(b, Done).Status, Idle)
		h.is(h.end(c, Done).Status, Idle)
	})
}

func TestFailuresCountAgainstTheBudget(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"))
		a := h.start(tok(1))
		s := h.finish(a, Outcome{Kind: Fail, Delay: 30 * time.Millisecond, Code: "500", Err: "e1"}, true)
		h.is(s.Status, Waiting)
		h.is(s.Until.Equal(s.Now.Add(30*time.Millisecond)), true)
		h.is(h.chain(tok(1)).Reason, "back-off")
		if h.b.SetTime != nil { // else the back-off may have ended
			h.is(len(h.dispatchDue().Dispatches), 0)
		}
		h.pass(30 * time.Millisecond)
		a = h.start(tok(1))
		h.is(fmt.Sprint(a.Key, a.Number, a.Spent, a.Failures), "=a2 2 1")
		h.is(h.call("b1", tok(1), "a").Error, "e1")

		h.finish(a, Outcome{Kind: PushBack}, true)
		first := h.start(tok(1)) // counted, but the push-back spent nothing
		h.is(fmt.Sprint(first.Number, first.Spent, first.Failures), "3 2 2")
		h.is(first.FirstPushBack.IsZero(), false)
		h.pass(5 * time.Millisecond)
		h.finish(first, Outcome{Kind: PushBack}, true)
		a = h.start(tok(1))
		h.is(a.FirstPushBack.Equal(first.FirstPushBack), true)

		used, _ := h.peek(tok(1))
		h.is(used, 4)
		h.finish(a, Outcome{Kind: NotSent, Slot: GiveBack}, true)
		used, slots := h.peek(tok(1))
		h.is(fmt.Sprint(used, slots), "3 0")
		h.is(h.call("b1", tok(1), "a").Attempts, 3)
		a = h.start(tok(1))
		h.is(fmt.Sprint(a.Number, a.Spent, a.Failures), "4 2 4")
		h.finish(a, Outcome{Kind: Late, Slot: GiveBack}, true)
		a = h.start(tok(1))
		h.is(fmt.Sprint(a.Number, a.Spent, a.Failures), "4 2 4")
		h.is(h.states("b1", tok(1), "a", "b"), "ru qu ")
		h.end(a, Done)
		b := h.start(tok(1)) // another call, another budget
		h.is(fmt.Sprint(b.Key, b.Number, b.Spent, b.Failures, b.FirstPushBack.IsZero()), "=b1 1 0 true")
	})
}

func TestLateIsNoPushBack(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a"))
		h.finish(h.start(tok(1)), Outcome{Kind: Late, Slot: GiveBack}, false)
		h.is(h.call("b1", tok(1), "a").StartedAt.IsZero(), true) // nothing was sent
		a := h.start(tok(1))
		h.is(fmt.Sprint(a.Number, a.Spent, a.Failures, a.FirstPushBack.IsZero()), "1 1 0 true")
		used, _ := h.peek(tok(1))
		h.is(used, 1)
	})
}

func TestCoolingDefersAndLifts(t *testing.T) {
	t.Parallel()
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a"), calls(tok(1), "x", "b"))
		until := h.now().Add(time.Hour)
		h.finish(h.start(tok(1)), Outcome{Kind: PushBack,
			Cooling: Cooling{Until: until, Why: "token limit", ProbeAfter: 2 * time.Second}}, true)
		other := h.begin(h.dispatch(ChainID(tok(1), "x")))
		h.is(why(other)+" "+other.Detail, "deferred cooling token limit")
		h.is(h.chain(ChainID(tok(1), "x")).Reason, "cooling: token limit")
		h.pass(2 * time.Second) // later than what comes before takes on any machine
		probe := h.start(tok(1))
		h.is(probe.Probe, true)
		h.is(h.begin(h.dispatch(ChainID(tok(1), "x"))).Reason, "cooling")
		h.finish(probe, Outcome{Kind: Done, Cooling: Cooling{Lift: true}}, false)
		// A chain that waited for the cooling does not wait for the next probe.
		h.is(h.start(ChainID(tok(1), "x")).Key, "=b")
	})
}

func TestSlotGoesToWhoWaitedLongest(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		for n := range 6 {
			h.append("b1", "hold", calls(tok(1), fmt.Sprint(n), fmt.Sprint(n, "a"), fmt.Sprint(n, "b")))
			h.pass(2 * time.Millisecond)
		}
		h.dispatchDue()
		id := func(n int) string { return ChainID(tok(1), fmt.Sprint(n)) }
		running := []Attempt{h.begin(h.dispatched[id(0)]).Attempt, h.begin(h.dispatched[id(1)]).Attempt}
		for n := 2; n < 6; n++ {
			h.is(why(h.begin(h.dispatched[id(n)])), "deferred slots")
			h.pass(2 * time.Millisecond)
		}
		var order []string
		for range 10 {
			s := h.finish(running[0], Outcome{Kind: Done}, true)
			running = running[1:]
			if s.Woken != nil {
				h.is(s.Status == Waiting || s.Status == Idle, true)
				order = append(order, s.Woken.Chain[TokenLen+1:])
				next := h.begin(*s.Woken)
				h.is(next.Status, Running)
				running = append(running, next.Attempt)
			} else if s.Status == Running {
				running = append(running, s.Attempt)
			}
			h.pass(2 * time.Millisecond)
		}
		h.is(fmt.Sprint(order), "[2 3 4 5 0 1 2 3 4 5]")
	})
}

// Two slots come free before the chain that was woken first has begun.
func TestNobodyOvertakesWhoWaits(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		id := func(n int) string { return ChainID(tok(1), fmt.Sprint(n)) }
		for n := range 5 {
			h.append("b1", "hold", calls(tok(1), fmt.Sprint(n), fmt.Sprint(n, "a"), fmt.Sprint(n, "b")))
			h.pass(2 * time.Millisecond)
		}
		h.dispatchDue()
		a, b := h.begin(h.dispatched[id(0)]).Attempt, h.begin(h.dispatched[id(1)]).Attempt
		for n := 2; n < 5; n++ {
			h.begin(h.dispatched[id(n)])
			h.pass(2 * time.Millisecond)
		}
		one := h.finish(a, Outcome{Kind: Done}, true)
		two := h.finish(b, Outcome{Kind: Done}, true)
		h.is(fmt.Sprint(one.Woken.Chain, two.Woken.Chain), fmt.Sprint(id(2), id(3)))
		h.is(one.Status, Waiting)
		h.is(two.Status, Waiting) // chain 4 waits longer
		h.is(h.begin(*one.Woken).Status, Running)
		h.is(h.begin(*two.Woken).Status, Running)
	})
}

// A program that uses package quota on the same token waits in the same queue.
func TestSlotGoesToAnotherProgram(t *testing.T) {
	both(t, setup{slots: 1}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"))
		a := h.start(tok(1))
		told := h.rdb.Subscribe(h.ctx, h.prefix+":woken:other")
		defer told.Close()
		if _, err := told.Receive(h.ctx); err != nil {
			t.Fatal(err)
		}
		h.no(h.rdb.Do(h.ctx, "zadd", h.prefix+":{ab}:waiters:"+tok(1), h.now().UnixMilli()-1000, "~other.1").Err())
		s := h.finish(a, Outcome{Kind: Done}, true)
		h.is(s.Status, Waiting)
		h.is(s.Woken == nil, true)
		select {
		case m := <-told.Channel():
			h.is(m.Payload, "~other.1")
		case <-time.After(time.Minute):
			t.Error("the other program was not told")
		}
	})
}

// A batch was through when its last call ended, even if the chain goes on with another batch.
func TestBatchKnowsWhenItsLastCallEnded(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"))
		h.append("b2", "hold", calls(tok(1), "", "c"))
		s := h.finish(h.start(tok(1)), Outcome{Kind: Done}, true)
		h.pass(5 * time.Millisecond)
		s = h.finish(s.Attempt, Outcome{Kind: Done}, true)
		h.is(s.Attempt.Key, "=c")
		n := h.counts("b1")
		h.is(n.Settled(), true)
		h.is(n.Changed.Equal(s.Now), true)
	})
}
