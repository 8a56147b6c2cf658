package ledger

import (
	"fmt"
	"testing"
	"time"
)

func atServer(server string, list []NewCall) []NewCall {
	for i := range list {
		list[i].Server = server
	}
	return list
}

// A chain whose worker has no place left at its server stays with that worker: it holds no slot, no
// count and no attempt, is shown as waiting, and begins under the same dispatch number.
func TestChainWaitsForAPlaceAtItsServer(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"))
		f := h.dispatch(tok(1))
		h.away = FullServer("00011") + FullServer("0001")
		for range 4 { // more often than there are attempts, if these were
			s := h.begin(f)
			h.is(why(s), "deferred "+ServerBusy)
			h.is(fmt.Sprint(s.Chain, s.Number, s.Detail), fmt.Sprint(tok(1), f.Number, "0001"))
			used, slots := h.peek(tok(1))
			h.is(fmt.Sprint(used, slots, h.call("b1", tok(1), "a").Attempts), "0 0 0")
			c := h.chain(tok(1))
			h.is(c.State+" "+c.Reason, "waiting "+ServerBusy)
		}
		h.is(len(h.dispatchDue().Dispatches), 0)
		h.away = FullServer("0002")
		s := h.begin(f)
		h.is(s.Status, Running)
		h.is(h.chain(tok(1)).State, "running")
	})
}

// If a step goes on to a call at a server without a place, that chain stays with the worker too.
func TestRunGoesOnToAFullServer(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(h *harness, a Attempt) *Step
		next string
	}{
		"the chain's next call": {func(h *harness, a Attempt) *Step {
			return h.finish(a, Outcome{Kind: Done}, true)
		}, tok(1)},
		"another chain": {func(h *harness, a Attempt) *Step {
			h.append("b1", "hold", atServer("0002", calls(tok(2), "", "d")))
			h.cancelChain(tok(1), Meant{}, false)
			return h.finishOn(a, Outcome{Kind: Done}, Any)
		}, tok(2)},
		"a grant that came when the last place was taken": {func(h *harness, a Attempt) *Step {
			h.end(a, Done)
			h.away = ""
			return h.finish(h.start(tok(1)), Outcome{Kind: Busy, Slot: GiveBack}, true)
		}, tok(1)},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				h.append("b1", "hold", calls(tok(1), "", "a"), atServer("0002", calls(tok(1), "", "b")))
				a := h.start(tok(1))
				h.away = FullServer("0002")
				s := c.end(h, a)
				h.is(why(s), "deferred "+ServerBusy)
				h.is(s.Chain+" "+s.Detail, c.next+" 0002")
				used, slots := h.peek(c.next)
				h.is(slots, 0)
				h.is(used, map[string]int{tok(1): 1, tok(2): 0}[c.next])
				h.is(h.chain(c.next).State, "waiting")
				h.away = ""
				s = h.begin(Dispatch{Chain: s.Chain, Number: s.Number})
				h.is(s.Status, Running)
				h.is(fmt.Sprint(s.Attempt.Server, s.Attempt.Number, s.Attempt.Spent), "00021 1")
				h.end(s.Attempt, Done)
			})
		})
	}
}

// A worker dies while chains wait in it: they are dispatched again, and the number under which it had
// them is an old one.
func TestChainOfAWorkerThatDiedWaiting(t *testing.T) {
	mini(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a"))
		f := h.dispatch(tok(1))
		h.away = FullServer("0001")
		first := h.now()
		h.is(h.begin(f).Until.Sub(h.now()), 15*time.Second)
		h.pass(15 * time.Second)
		again := h.dispatch(tok(1))
		h.is(again == f, false)
		h.is(h.chain(tok(1)).State, "dispatched")
		h.is(h.begin(f).Status, Stale)
		for _, wait := range []time.Duration{30 * time.Second, time.Minute, time.Minute, time.Minute} { // a long queue costs little
			s := h.begin(again)
			h.is(s.Until.Sub(h.now()), wait)
			h.is(s.Since.Sub(first), time.Duration(0)) // it does not lose its place among others
			h.pass(wait)
			again = h.dispatch(tok(1))
		}
		h.away = ""
		h.is(h.begin(again).Status, Running)
	})
}

// A chain that got the slot of another, and waits for its server, does not keep the slot from those
// that wait for it.
func TestChainThatWaitsForItsServerPassesTheSlotOn(t *testing.T) {
	both(t, setup{slots: 1}, func(h *harness) {
		a := func() Attempt { h.append("b1", "hold", calls(tok(1), "", "a")); return h.start(tok(1)) }()
		h.append("b1", "hold", atServer("0002", calls(tok(1), "x", "x")))
		h.is(why(h.begin(h.dispatch(ChainID(tok(1), "x")))), "deferred slots")
		h.pass(2 * time.Millisecond)
		h.append("b1", "hold", calls(tok(1), "y", "y"))
		h.is(why(h.begin(h.dispatch(ChainID(tok(1), "y")))), "deferred slots")
		h.end(a, Done) // x, which waited longest, gets the slot
		h.away = FullServer("0002")
		s := h.begin(h.dispatched[ChainID(tok(1), "x")])
		h.is(why(s), "deferred "+ServerBusy)
		if s.Woken == nil {
			t.Fatal("nobody got the slot")
		}
		h.is(s.Woken.Chain, ChainID(tok(1), "y"))
		h.is(h.begin(*s.Woken).Status, Running)
	})
}
