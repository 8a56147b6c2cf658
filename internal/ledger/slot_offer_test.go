package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// waiting makes an attempt of chain "a" take the one slot of tok(1), and other chains wait for
// it in the order given. Each has one call of batch b1 to the server that stands behind its
// name: "x 0002".
func (h *harness) waiting(waiters ...string) Attempt {
	h.t.Helper()
	h.append("b0", "hold", calls(tok(1), "a", "a"))
	a := h.start(ChainID(tok(1), "a"))
	for _, w := range waiters {
		name, server := w[:1], w[2:]
		c := calls(tok(1), name, name)
		c[0].Server = server
		h.append("b1", "hold", c)
		h.is(why(h.begin(h.dispatch(ChainID(tok(1), name)))), "deferred slots")
		h.pass(2 * time.Millisecond)
	}
	return a
}

// gets checks that the chain of tok(1) has a slot offer, without waiting for its time.
func (h *harness) gets(name string) Attempt {
	h.t.Helper()
	f := h.dispatch(ChainID(tok(1), name))
	s := h.begin(f)
	h.is(fmt.Sprint(s.Status, s.Attempt.Key), "run="+name)
	return s.Attempt
}

// A chain that was woken for a slot and does not take it passs its slot offer on.
func TestSlotOfferIsPassedOn(t *testing.T) {
	x := ChainID(tok(1), "x")
	away := func(h *harness) { h.away = fmt.Sprintf("0002=%d ", h.now().Add(time.Hour).UnixMilli()) }
	woken := func(h *harness) Dispatch {
		h.t.Helper()
		s := h.end(h.waiting("x 0002", "y 0001"), Done)
		h.is(s.Woken.Chain, x)
		return *s.Woken
	}
	ways := map[string]func(h *harness){
		"its server is away": func(h *harness) {
			f := woken(h)
			away(h)
			h.is(why(h.begin(f)), "deferred server")
		},
		"its server is away, begun in place": func(h *harness) {
			a := h.waiting("x 0002", "y 0001")
			away(h)
			h.is(why(h.finishOn(a, Outcome{Kind: Done}, Any)), "deferred server")
		},
		"its server is away, ready": func(h *harness) {
			h.append("b1", "hold", calls(tok(2), "", "other"))
			a := h.start(tok(2))
			_, err := h.l.Requeue(h.ctx, woken(h))
			h.no(err)
			away(h)
			h.is(why(h.finishOn(a, Outcome{Kind: Done}, Any)), "deferred server")
		},
		"its chain is cancelled": func(h *harness) {
			woken(h)
			h.is(h.cancelChain(x, Meant{}, false), 1)
		},
		"its chain is cancelled, ready": func(h *harness) {
			_, err := h.l.Requeue(h.ctx, woken(h))
			h.no(err)
			h.is(h.cancelChain(x, Meant{}, false), 1)
		},
		"its chain is cancelled while the token cools": func(h *harness) {
			a := h.waiting("x 0002", "y 0001")
			s := h.finish(a, Outcome{Kind: Done, Cooling: Cooling{Until: h.now().Add(time.Hour), Why: "w"}}, false)
			h.is(why(h.begin(*s.Woken)), "deferred cooling")
			h.lift(tok(1))
			h.is(h.cancelChain(x, Meant{}, false), 1)
		},
		"its batch is cancelled": func(h *harness) {
			a := h.waiting("x 0002")
			h.append("b2", "hold", calls(tok(1), "y", "y"))
			h.is(why(h.begin(h.dispatch(ChainID(tok(1), "y")))), "deferred slots")
			h.is(h.end(a, Done).Woken.Chain, x)
			h.is(h.cancelBatch("b1"), 1)
		},
		"its batch is cancelled, many cancelled calls behind it": func(h *harness) {
			h.manyCancelled(x)
			h.is(h.begin(h.dispatch(x)).Status, Idle)
		},
		"its chain is cancelled, many cancelled calls behind it": func(h *harness) {
			h.manyCancelled(x)
			h.is(h.cancelChain(x, Meant{}, false), 0)
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			both(t, setup{slots: 1}, func(h *harness) {
				way(h)
				h.gets("y")
			})
		})
	}
}

// manyCancelled wakes chain x, and cancels all of its calls, more than one script passes over.
func (h *harness) manyCancelled(x string) {
	h.t.Helper()
	a := h.waiting("x 0002")
	h.append("b2", "hold", calls(tok(1), "y", "y"))
	h.is(why(h.begin(h.dispatch(ChainID(tok(1), "y")))), "deferred slots")
	ids := make([]string, 600)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	h.append("b3", "hold", calls(tok(1), "x", ids...))
	h.is(h.cancelBatch("b3"), 600)
	h.is(h.end(a, Done).Woken.Chain, x)
	h.is(h.cancelBatch("b1"), 1)
	h.is(fmt.Sprint(h.rdb.HMGet(h.ctx, h.prefix+":{"+testTag+"}:chain:"+x, "s", "h").Val()), "[r ]")
}

// A request of the chain that was woken may still be at the vendor.
func TestSlotOfferIsPassedOnAfterAnUnknownOutcome(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		id := func(name string) string { return ChainID(tok(1), name) }
		h.append("b1", "skip", calls(tok(1), "x", "x1", "x2"), calls(tok(1), "a", "a"))
		x, a := h.start(id("x")), h.start(id("a"))
		for _, name := range []string{"b", "c"} {
			h.append("b1", "skip", calls(tok(1), name, name))
			h.is(why(h.begin(h.dispatch(id(name)))), "deferred slots")
			h.pass(2 * time.Millisecond)
		}
		one := h.end(a, Done)
		two := h.finish(x, Outcome{Kind: GiveUp, Slot: Keep}, true)
		h.is(fmt.Sprint(one.Woken.Chain, two.Woken.Chain, two.Status), fmt.Sprint(id("b"), id("c"), Waiting))
		b := h.gets("b")
		h.is(why(h.begin(*two.Woken)), "deferred slots")
		h.append("b1", "skip", calls(tok(1), "y", "y"))
		h.pass(2 * time.Millisecond)
		h.is(why(h.begin(h.dispatch(id("y")))), "deferred slots")
		h.is(h.end(b, Done).Woken.Chain, id("c"))
		s := h.end(h.gets("c"), Done)
		h.is(s.Woken.Chain, id("x"))
		h.is(why(h.begin(*s.Woken)), "deferred unknown")
		h.gets("y")
	})
}

// A chain that is put off for another reason waits for no slot: a wake does not spend its tries
// on such chains.
func TestWhoIsPutOffWaitsForNoSlot(t *testing.T) {
	mini(t, setup{slots: 1}, func(h *harness) {
		h.append("b0", "hold", calls(tok(1), "a", "a"))
		a := h.start(ChainID(tok(1), "a"))
		for i := range 9 {
			c := calls(tok(1), fmt.Sprint(i), fmt.Sprint(i))
			c[0].Server = "0002"
			h.append("b1", "hold", c)
		}
		h.dispatchDue()
		for i := range 9 {
			h.is(why(h.begin(h.dispatched[ChainID(tok(1), fmt.Sprint(i))])), "deferred slots")
		}
		h.pass(a.LeaseEnds.Sub(h.now()))
		h.dispatchDue() // all come back
		a = h.begin(h.dispatched[a.Chain]).Attempt
		h.away = fmt.Sprintf("0002=%d ", h.now().Add(time.Hour).UnixMilli())
		for i := range 9 {
			h.is(why(h.begin(h.dispatched[ChainID(tok(1), fmt.Sprint(i))])), "deferred server")
		}
		h.append("b1", "hold", calls(tok(1), "y", "y"))
		h.is(why(h.begin(h.dispatch(ChainID(tok(1), "y")))), "deferred slots")
		h.end(a, Done)
		h.gets("y")
	})
}

// If nobody can run, the slot offer stays: its chain comes back when that has passed, and the
// others are not woken in vain.
func TestSlotOfferIsKeptWhileTheTokenIsClosed(t *testing.T) {
	mini(t, setup{slots: 1}, func(h *harness) {
		a := h.waiting("x 0001", "y 0001", "z 0001")
		cooling := Cooling{Until: h.now().Add(100 * time.Millisecond), Why: "w"}
		s := h.finishOn(a, Outcome{Kind: Done, Cooling: cooling}, Any)
		h.is(why(s)+" "+s.Chain, "deferred cooling "+ChainID(tok(1), "x"))
		h.is(s.Woken == nil, true)
		h.is(len(h.dispatchDue().Dispatches), 0)
		h.pass(110 * time.Millisecond)
		for _, name := range []string{"x", "y", "z"} {
			h.end(h.gets(name), Done)
		}
	})
}

// A late success belongs to the very chain that waits longest, and a slot is free since the
// other request's lease has ended.
func TestLateSuccessOfWhoWaitsLongest(t *testing.T) {
	mini(t, setup{slots: 1, lease: shortLease}, func(h *harness) {
		x, y := ChainID(tok(1), "x"), ChainID(tok(1), "y")
		h.append("b1", "hold", calls(tok(1), "x", "x"))
		late := h.start(x)
		h.pass(shortLease)
		h.append("b1", "hold", calls(tok(1), "y", "y"))
		lost := h.start(y)
		h.append("b1", "hold", calls(tok(1), "z", "z"))
		h.is(why(h.begin(h.dispatch(x))), "deferred slots")
		h.pass(time.Millisecond)
		h.is(why(h.begin(h.dispatch(ChainID(tok(1), "z")))), "deferred slots")
		h.pass(lost.LeaseEnds.Sub(h.now()))
		s := h.end(late, Done)
		h.is(s.Status, Idle)
		h.is(s.Woken.Chain, ChainID(tok(1), "z"))
	})
}

// Whatever becomes of chains, while one waits for a slot that is free another one has the
// slot offer: it is on its way to a worker, or comes back when the token is open again. Time
// stands still, so that none comes by itself.
func TestModelOfSlotOffers(t *testing.T) {
	checkModel(t, func(rt *rapid.T) setup { return setup{slots: rapid.IntRange(1, 2).Draw(rt, "slots")} }, func(rt *rapid.T, h *harness) {
		var running []Attempt
		ids, batches := 0, map[string]int{"hold": 0, "skip": 0, "cancel": 0}
		policies := []string{"hold", "skip", "cancel"}
		name := func() string { return pick(rt, "chain", []string{"u", "v", "w", "x", "y", "z"}) }
		batch := func(policy string) string { return fmt.Sprint(policy, batches[policy]) }
		took := func(s *Step) {
			if s.Status == Running {
				running = append(running, s.Attempt)
			}
		}
		dispatched := func() Dispatch {
			return *recent(rt, "dispatch", slices.SortedFunc(maps.Values(h.dispatched), func(a, b Dispatch) int { return cmp.Compare(a.Chain, b.Chain) }))
		}
		steps := map[string]func(){
			"append": func() {
				policy, chain := pick(rt, "policy", policies), name()
				for range rapid.IntRange(1, 2).Draw(rt, "calls") {
					ids++
					c := calls(tok(1), chain, fmt.Sprint(ids))
					c[0].Server = pick(rt, "server", []string{"0001", "0002"})
					h.append(batch(policy), policy, c)
				}
				h.dispatchDue()
			},
			"dispatch": func() { h.dispatchDue() },
			"begin":    func() { took(h.begin(dispatched())) },
			"requeue": func() {
				_, err := h.l.Requeue(h.ctx, dispatched())
				h.no(err)
			},
			"finish": func() {
				a := *recent(rt, "attempt", running)
				running = slices.DeleteFunc(running, func(b Attempt) bool { return a.Nonce == b.Nonce })
				took(h.finishOn(a, pick(rt, "outcome", []Outcome{
					{Kind: Done}, {Kind: Done}, {Kind: Done}, {Kind: Done}, {Kind: Done}, {Kind: Fail, Delay: time.Hour}, {Kind: GiveUp},
					{Kind: Late, Slot: GiveBack}, {Kind: Done, Cooling: Cooling{Lift: true}},
					{Kind: PushBack, Cooling: Cooling{Until: h.now().Add(time.Hour), Why: "w"}},
				}), pick(rt, "go on", []GoOn{Stop, Own, Any})))
			},
			"cancel chain": func() { h.cancelChain(ChainID(tok(1), name()), Meant{}, false) },
			"cancel batch": func() {
				policy := pick(rt, "policy", policies)
				h.cancelBatch(batch(policy))
				batches[policy]++
			},
			"decide": func() {
				h.decide(ChainID(tok(1), name()), pick(rt, "decision", []Decision{DecisionRetry, DecisionSkip}), Meant{})
			},
			"lift": func() {
				h.lift(tok(1))
			},
		}
		actions := map[string]func(*rapid.T){}
		for what, do := range steps {
			for i := range map[string]int{"append": 4, "begin": 9, "finish": 4}[what] + 1 {
				actions[what+strings.Repeat(" ", i)] = func(*rapid.T) {
					h.away = pick(rt, "away", []string{"", "", fmt.Sprintf("0002=%d ", h.now().Add(time.Hour).UnixMilli())})
					do()
					h.pass(time.Millisecond)
					h.offered()
				}
			}
		}
		for range 8 {
			steps["append"]()
		}
		rt.Repeat(actions)
	})
}

// offered fails if a chain of tok(1) waits for a slot that is free, and no other has the slot offer.
func (h *harness) offered() {
	h.t.Helper()
	_, slots := h.peek(tok(1))
	waits, offer := "", false
	for id, c := range h.load().chains {
		switch {
		case c["s"] == "l":
			waits = id
		case c["z"] != "" && (c["s"] == "r" || c["s"] == "f" || c["s"] == "w" && strings.HasPrefix(c["y"], "cooling")):
			offer = true
		}
	}
	if waits != "" && slots < h.settings.Slots && !offer {
		h.fatalf("%s waits for a slot, %d of %d are taken, and no chain has the slot offer", waits, slots, h.settings.Slots)
	}
}
