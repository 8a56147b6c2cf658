package ledger

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

// A run that may go on with any chain takes the first that is ready, whatever became of
// its own.
func TestRunGoesOnWithAnotherChain(t *testing.T) {
	for name, o := range map[string]Outcome{
		"idle": {Kind: Done}, "held": {Kind: GiveUp}, "waiting": {Kind: Fail, Delay: time.Minute},
		"unknown": {Kind: Fail, Slot: Keep},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				h.append("b1", "hold", calls(tok(1), "", "a"))
				a := h.start(tok(1))
				h.append("b1", "hold", calls(tok(2), "", "b"))
				h.pass(time.Millisecond)
				h.append("b1", "hold", calls(tok(3), "", "c"))
				s := h.finishOn(a, o, Any)
				h.is(fmt.Sprint(s.Status, s.Chain, s.Attempt.Chain, s.Attempt.Key), fmt.Sprint(Running, tok(2), tok(2), "=b"))
				h.is(s.Due.IsZero(), name == "idle" || name == "held")
				s = h.finishOn(s.Attempt, Outcome{Kind: Done}, Any)
				h.is(s.Attempt.Chain, tok(3))
				h.is(h.finishOn(s.Attempt, Outcome{Kind: Done}, Any).Status, Idle)
			})
		})
	}
}

// A run that must leave its chain for others goes on with one of them, and its chain stays ready.
func TestRunLeavesItsChainForOthers(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b", "c"))
		a := h.start(tok(1))
		s := h.finishOn(a, Outcome{Kind: Done}, Others)
		h.is(fmt.Sprint(s.Status, s.Chain), fmt.Sprint(Ready, tok(1)))
		a = h.start(tok(1))
		h.append("b1", "hold", calls(tok(2), "", "x", "y"))
		s = h.finishOn(a, Outcome{Kind: Done}, Others)
		h.is(fmt.Sprint(s.Status, s.Chain, s.Attempt.Key), fmt.Sprint(Running, tok(2), "=x"))
		h.is(s.Due, s.Now) // nobody has signalled the bucket for the chain that was left
		h.is(h.finishOn(s.Attempt, Outcome{Kind: Done}, Others).Attempt.Key, "=c")
	})
}

// The reply of a step that left its chain for another one was lost. When it is sent again,
// it answers as before.
func TestRepeatedGoingOnChangesNothing(t *testing.T) {
	for name, o := range map[string]Outcome{
		"idle": {Kind: Done, Slot: Release}, "held": {Kind: GiveUp, Slot: Release}, "waiting": {Kind: Fail, Slot: Release, Delay: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				h.append("b1", "hold", calls(tok(1), "", "a"), calls(tok(2), "", "b"), calls(tok(3), "", "c"))
				a := h.begin(h.dispatch(tok(1))).Attempt
				for _, id := range []string{tok(2), tok(3)} {
					_, err := h.l.Requeue(h.ctx, h.dispatched[id])
					h.no(err)
				}
				var first *Step
				for i := range 3 {
					s, err := h.l.Finish(h.ctx, &a, o, Any, "next", "")
					h.no(err)
					h.check()
					if i == 0 {
						first = s
					}
					h.is(fmt.Sprint(s.Status, s.Attempt.Chain, s.Attempt.Number), fmt.Sprint(Running, first.Attempt.Chain, 1))
				}
				h.is(h.end(first.Attempt, Done).Status, Idle)
			})
		})
	}
}

// A step that is sent again finds what it began. It looks at few chains for that, however many of the bucket wait
// for a time.
func TestRepeatedStepAmongManyThatWait(t *testing.T) {
	redistest.BothOwn(t, func(t *testing.T, b redistest.Backend) {
		h := newHarness(t, b, setup{})
		h.unchecked = true
		h.append("b1", "hold", calls(tok(1), "", "a"))
		a := h.start(tok(1))
		h.append("b1", "hold", calls(tok(2), "", "b"))
		waiting := make([]redis.Z, 20_000)
		for i := range waiting {
			waiting[i] = redis.Z{Score: float64(h.now().Add(time.Duration(1+i%600) * time.Second).UnixMilli()), Member: tok(100 + i)}
		}
		h.no(h.rdb.ZAdd(h.ctx, h.l.bucket(testTag)+"due", waiting...).Err())
		asked := func() int {
			if b.Server == nil {
				return 0
			}
			_, stats, _ := strings.Cut(h.rdb.Info(h.ctx, "commandstats").Val(), "cmdstat_hget:calls=")
			n, _ := strconv.Atoi(stats[:strings.IndexByte(stats, ',')])
			return n
		}
		before := 0
		for i := range 3 {
			s, err := h.l.Finish(h.ctx, &a, Outcome{Kind: Done, Slot: Release}, Any, "next", "")
			h.no(err)
			h.is(fmt.Sprint(s.Status, s.Chain), fmt.Sprint(Running, tok(2)))
			if i == 0 {
				before = asked()
			}
		}
		if n := asked() - before; n > 1100 {
			t.Errorf("two steps that were sent again read %d fields", n)
		}
	})
}

// The chain that got the freed slot is begun by the run that freed it.
func TestRunGoesOnWithWhoWaitedForTheSlot(t *testing.T) {
	both(t, setup{slots: 1}, func(h *harness) {
		id := func(n int) string { return ChainID(tok(1), fmt.Sprint(n)) }
		for n := range 3 {
			h.append("b1", "hold", calls(tok(1), fmt.Sprint(n), fmt.Sprint(n, "a"), fmt.Sprint(n, "b")))
			h.pass(2 * time.Millisecond)
		}
		h.dispatchDue()
		a := h.begin(h.dispatched[id(0)]).Attempt
		for n := 1; n < 3; n++ {
			h.is(why(h.begin(h.dispatched[id(n)])), "deferred slots")
			h.pass(2 * time.Millisecond)
		}
		var order []string
		for range 5 {
			s := h.finishOn(a, Outcome{Kind: Done}, Any)
			h.is(s.Status, Running)
			h.is(s.Woken == nil, true)
			a = s.Attempt
			order = append(order, a.Key)
			h.pass(2 * time.Millisecond)
		}
		h.is(fmt.Sprint(order), "[=1a =2a =0b =1b =2b]")
	})
}

// A worker is lost with a call that its run had gone on with.
func TestLostAfterGoingOn(t *testing.T) {
	both(t, setup{lease: time.Second}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a"))
		a := h.start(tok(1))
		h.append("b1", "hold", calls(tok(2), "", "b"))
		h.is(h.finishOn(a, Outcome{Kind: Done}, Any).Attempt.Chain, tok(2))
		h.pass(time.Second + 10*time.Millisecond)
		h.is(h.dispatchDue().Lost, 1)
		h.is(h.start(tok(2)).Number, 2)
	})
}

// A run that goes on with the chain's next call begins a new budget for it, also in Redis.
func TestNextCallHasItsOwnBudget(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b", "c"))
		again := func(a Attempt) Attempt {
			h.is(h.end(a, Fail).Status, Waiting)
			h.pass(time.Millisecond)
			h.dispatchDue()
			return h.begin(h.dispatched[tok(1)]).Attempt
		}
		a := again(h.start(tok(1)))
		h.is(a.Spent, 2)
		for range 2 {
			a = h.finishOn(a, Outcome{Kind: Done}, Own).Attempt
			h.is(a.Spent, 1)
			a = again(a)
			h.is(a.Spent, 2)
		}
	})
}
