package ledger

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestAppendIsIdempotent(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		first := h.append("b1", "hold", calls(tok(1), "", "a", "b"), calls(tok(2), "", "a"))
		h.is(fmt.Sprint(newOnes(first), known(first), news(first)), "3 0 [true true true]")
		h.is(fmt.Sprint(first.Ready), "[ab]")
		again := h.append("b1", "hold", calls(tok(1), "", "x", "a", "b", "c"), calls(tok(2), "", "a"))
		h.is(fmt.Sprint(newOnes(again), known(again), news(again)), "2 3 [true false false true false]")
		h.order(tok(1), "a", "b", "x", "c")
		h.order(tok(2), "a")
		h.is(known(h.append("b1", "hold", calls(tok(1), "", "a", "b", "c"))), 3)
		h.is(h.chain(tok(1)).State, "")
	})
}

// newOnes returns how many calls were new.
func newOnes(done Appended) (n int) {
	for _, is := range news(done) {
		if is {
			n++
		}
	}
	return n
}

// order works a chain off and checks the order of its calls.
func (h *harness) order(chain string, want ...string) {
	h.t.Helper()
	var have []string
	for a := h.start(chain); ; {
		have = append(have, a.Key[1:])
		s := h.finish(a, Outcome{Kind: Done}, true)
		if s.Status == Idle {
			break
		}
		h.is(s.Status, Running)
		a = s.Attempt
	}
	if !slices.Equal(have, want) {
		h.fatalf("order %v, want %v", have, want)
	}
}

func TestTwoProducersOfOneBatch(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.unchecked = true
		var rows []NewCall
		for n := range 300 {
			rows = append(rows, calls(tok(1), "", fmt.Sprint(n))...)
		}
		var wg sync.WaitGroup
		got := make([]int, 3)
		for p := range got {
			wg.Go(func() {
				for part := range slices.Chunk(rows, 100) {
					done, err := h.l.Append(h.ctx, Append{Batch: "b1", Policy: "hold", Calls: part})
					if err != nil {
						t.Error(err)
					}
					got[p] += newOnes(done)
				}
			})
		}
		wg.Wait()
		h.is(got[0]+got[1]+got[2], 300)
		h.invariants()
		want := make([]string, 300)
		for n := range want {
			want[n] = fmt.Sprint(n)
		}
		h.order(tok(1), want...)
		h.invariants()
	})
}

func TestAppendAtOnceDispatches(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		done := h.appendAs(Append{Batch: NoBatch, Policy: "hold", AtOnce: true,
			Calls: slices.Concat(calls(tok(1), "", "a", "b"), calls(tok(2), "x", "c"))})
		h.is(len(done.Dispatches), 2)
		h.is(len(done.Ready), 0)
		for _, f := range done.Dispatches {
			h.is(h.begin(f).Status, Running)
		}
		// A chain that runs is not dispatched again by its next call.
		h.is(len(h.appendAs(Append{Batch: NoBatch, Policy: "hold", AtOnce: true, Calls: calls(tok(1), "", "d")}).Dispatches), 0)
	})
}

func TestAppendRefusesAForeignToken(t *testing.T) {
	mini(t, setup{}, func(h *harness) {
		for _, token := range []string{"", "ab", "AB" + tok(1)[2:], tok(1) + "a"} {
			if _, err := h.l.Append(h.ctx, Append{Batch: "b1", Calls: calls(token, "", "a")}); err == nil {
				t.Errorf("token %q was taken", token)
			}
		}
	})
}

func TestNamedChainsShareTheSlots(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a"), calls(tok(1), "night shift", "b", "b2"), calls(tok(1), "x:y", "c"))
		h.dispatchDue()
		h.is(h.begin(h.dispatched[tok(1)]).Status, Running)
		second := h.begin(h.dispatched[ChainID(tok(1), "night shift")])
		h.is(second.Status, Running)
		h.is(second.Attempt.CallID(), "b")
		third := h.begin(h.dispatched[ChainID(tok(1), "x:y")])
		h.is(why(third), "deferred slots")
		_, slots := h.peek(tok(1))
		h.is(slots, 2)
		h.is(h.call("b1", tok(1), "b").Chain, ChainID(tok(1), "night shift"))
		h.is(h.call("b1", tok(1), "c").Chain, tok(1)+":x:y")
	})
}

func TestScheduledCallsJoinWhenDue(t *testing.T) {
	t.Parallel()
	both(t, setup{}, func(h *harness) {
		later := func(chain, id string, d time.Duration) []NewCall {
			c := calls(tok(1), chain, id)
			c[0].At = h.now().Add(d)
			return c
		}
		// Late enough that the steps before are over by then, on any machine.
		due := h.now().Add(2 * time.Second)
		h.append("b1", "hold", later("", "past", -time.Hour), later("", "late", due.Sub(h.now())),
			later("two words", "w", due.Sub(h.now())-40*time.Millisecond), calls(tok(1), "", "now"))
		h.is(h.states("b1", tok(1), "past", "late", "w", "now"), "qu qu qu qu ")
		h.is(newOnes(h.append("b1", "hold", calls(tok(1), "", "late"))), 0)
		c := h.counts("b1")
		h.is(fmt.Sprint(c.Total, c.Open(), c.Settled()), "4 4 false")
		a := h.start(tok(1))
		h.is(a.Key, "=past")
		h.pass(due.Sub(h.now()) + 10*time.Millisecond)
		h.dispatchDue()
		h.append("b1", "hold", calls(tok(1), "", "last"))
		h.is(h.begin(h.dispatch(ChainID(tok(1), "two words"))).Attempt.Key, "=w")
		h.end(a, Done)
		h.order(tok(1), "now", "late", "last")
	})
}

func TestLicencesRaisedBringQuotaBack(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a"), calls(tok(2), "", "a"))
		day := fmt.Sprint(h.settings.Args(h.now(), 0, false)[8])
		for _, n := range []int{1, 2} {
			h.no(h.rdb.Set(h.ctx, h.prefix+":{ab}:used:"+tok(n)+":"+day, 1000, 0).Err())
		}
		for _, n := range []int{1, 2} {
			s := h.begin(h.dispatch(tok(n)))
			h.is(why(s), "deferred quota")
			h.is(h.chain(tok(n)).Reason, "quota")
		}
		h.is(h.states("b1", tok(1), "a"), "wa ")
		more := calls(tok(1), "", "b")
		more[0].Licenses = 2
		done := h.append("b1", "hold", more)
		h.is(fmt.Sprint(done.Ready), "[ab]") // it is signalled, not found by chance
		a := h.start(tok(1))
		h.is(fmt.Sprint(a.Key, a.Used, a.Limit), "=a1001 2000")
		h.is(h.chain(tok(2)).Reason, "quota")
	})
}

// A call that a group has twice is one call, wherever it stands, and the first one counts.
func TestAppendOfACallTwiceInOneGroup(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		done := h.append("b1", "hold", calls(tok(1), "", "a", "b", "a"), calls(tok(1), "x", "b", "c"), calls(tok(1), "", "a", "d"))
		h.is(fmt.Sprint(newOnes(done), known(done), news(done)), "4 3 [true true false false true false true]")
		h.order(tok(1), "a", "b", "d")
		h.order(ChainID(tok(1), "x"), "c")
	})
}

func TestRecordsOfNewCalls(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		rows := calls(tok(1), "50% chain", "plain", "odd", "late")
		rows[1].Ref = "100 % \"done\" \\ %s %d · módulo\u2028<&>\ttab"
		rows[2].At, rows[2].Ref = h.now().Add(time.Hour), "%"
		h.append("b1", "hold", rows)
		for i, c := range rows {
			have := h.call("b1", tok(1), c.Key[1:])
			h.is(have.Ref, rows[i].Ref)
			h.is(have.Chain, ChainID(tok(1), "50% chain"))
			h.is(have.Server, "0001")
			h.is(have.State, StateQueued)
			h.is(have.EnqueuedAt.IsZero(), false)
		}
		h.order(ChainID(tok(1), "50% chain"), "plain", "odd")
		h.is(h.call("b1", tok(1), "odd").Ref, rows[1].Ref)
	})
}

// A group is cut into runs of one chain, licences and time; the order of its calls stays.
func TestGroupKeepsTheOrder(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		var g Group
		for i, id := range []string{"a", "b", "c", "d", "e", "f"} {
			c := calls(tok(1+i%2), "", id)[0]
			if i > 3 {
				c.Licenses = i
			}
			h.no(g.Add(&c))
		}
		other := calls("zz"+tok(1)[2:], "", "g")[0]
		if err := g.Add(&other); err == nil {
			t.Error("a call of another bucket was taken")
		}
		h.is(g.Len(), 6)
		done, err := h.l.AppendGroups(h.ctx, Append{Batch: "b1", Policy: "hold"}, []*Group{&g})
		h.no(err)
		h.is(done.Received[0].Landings, "nnnnnn")
		if _, err := h.l.AppendGroups(h.ctx, Append{Batch: "b1"}, []*Group{&g, &g}); err == nil {
			t.Error("two groups of one bucket were sent at once")
		}
		h.order(tok(1), "a", "c", "e")
		h.order(tok(2), "b", "d", "f")
		h.is(h.rdb.HGet(h.ctx, h.prefix+":{ab}:licenses", tok(2)).Val(), "5")
	})
}

// A group tells what it has now, even if it was asked before, and nothing that it had before it was emptied.
func TestGroupIsUsedAgain(t *testing.T) {
	var g Group
	for round := range 2 {
		g.Reset()
		for i := range 3 {
			c := calls(tok(10*round+i), "", fmt.Sprint("call-", round, i))[0]
			if err := g.Add(&c); err != nil {
				t.Fatal(err)
			}
			for j := range g.Len() {
				token := tok(10*round + j)
				if field, chain := g.Field(j), g.ChainOf(j); chain != token || field != token+GivenKey(fmt.Sprint("call-", round, j)) {
					t.Errorf("round %d: call %d of %d is %s of chain %s", round, j, g.Len(), field, chain)
				}
			}
		}
		if g.Foreseen() != "nnn" || g.Runs() != 3 {
			t.Errorf("round %d: %s in %d runs", round, g.Foreseen(), g.Runs())
		}
	}
}

// Withhold is for every run of a group, the last one included, and however often the group is looked at.
func TestWithholdIsOfEveryRun(t *testing.T) {
	for name, c := range map[string]struct {
		blocked func(chain string) bool
		want    string
	}{
		"none":  {func(string) bool { return false }, "nnn"},
		"first": {func(chain string) bool { return chain == tok(1) }, "bnn"},
		"last":  {func(chain string) bool { return chain == tok(2) }, "nbb"},
		"all":   {func(string) bool { return true }, "bbb"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				var g Group
				for _, call := range append(calls(tok(1), "", "a"), calls(tok(2), "", "b", "c")...) {
					h.no(g.Add(&call))
				}
				g.Withhold(c.blocked)
				h.is(g.Foreseen(), c.want)
				done, err := h.l.AppendGroups(h.ctx, Append{Batch: "b1", Policy: "hold"}, []*Group{&g})
				h.no(err)
				h.is(done.Received[0].Landings, c.want)
			})
		})
	}
}
