package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var future = time.Now().Add(100 * 24 * time.Hour)

func (h *harness) purge(batch string, before time.Time) int {
	h.t.Helper()
	n, err := h.l.Purge(h.ctx, batch, []string{testTag}, before)
	h.no(err)
	h.check()
	return n
}

func TestPurgeForgetsABatch(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.index("b1", tok(1), "a", "b")
		h.append("b1", "skip", calls(tok(1), "", "a", "b"))
		h.append("b2", "hold", calls(tok(2), "", "x"))
		h.order(tok(1), "a", "b")
		h.is(h.found("a"), 1)
		h.is(h.purge("b1", future), 2)
		h.is(h.found("a")+h.found("b"), 0)
		if _, err := h.l.Call(h.ctx, "b1", tok(1), "=a"); !errors.Is(err, ErrNoCall) {
			t.Error(err)
		}
		tokens, err := h.l.Tokens(h.ctx)
		h.no(err)
		h.is(fmt.Sprint(tokens), "["+tok(2)+"]")
		var left []string
		for _, key := range h.rdb.Keys(h.ctx, "*").Val() {
			if strings.Contains(key, "b1") {
				left = append(left, key)
			}
		}
		h.is(len(left), 0)
	})
}

func TestPurgeKeepsWhatIsOpenOrHeld(t *testing.T) {
	for _, batch := range []string{"b1", NoBatch} {
		t.Run(batch, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				h.index(batch, tok(1), "ok", "held", "behind")
				h.append(batch, "hold", calls(tok(1), "", "ok", "held", "behind"), calls(tok(2), "", "open"))
				h.end(h.start(tok(1)), Done)
				h.giveUp(tok(1))
				h.is(h.purge(batch, future), 1)
				h.is(h.found("ok"), 0)
				h.is(h.found("held"), 1)
				h.is(h.found("behind"), 1)
				h.is(h.call(batch, tok(1), "held").State, StateFailed)
				n := h.counts(batch)
				h.is(fmt.Sprint(n.Total, n.Succeeded, n.Failed, n.Blocked), "3 0 1 1")
				h.is(h.decide(tok(1), DecisionSkip, Meant{}), true)
				a := h.start(tok(1))
				h.is(a.Sealed, "sealed of "+tok(1))
				h.end(a, Done)
				h.is(h.purge(batch, future), 2)
				h.is(h.counts(batch).Total, 1)
			})
		})
	}
}

func TestPurgeOfSingleCallsGoesByAge(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append(NoBatch, "hold", calls(tok(1), "", "old", "new"))
		h.end(h.start(tok(1)), Done)
		h.pass(20 * time.Millisecond)
		middle := h.now()
		h.pass(20 * time.Millisecond)
		h.end(h.start(tok(1)), Done)
		h.is(h.purge(NoBatch, middle), 1)
		h.is(h.states(NoBatch, tok(1), "new"), "su ")
		h.is(h.purge(NoBatch, future), 1)
		h.is(h.counts(NoBatch).Total, 0)
	})
}

func TestPurgeOfALargeBatch(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.unchecked = true
		ids := make([]string, 3000)
		for i := range ids {
			ids[i] = fmt.Sprint("id", i)
		}
		h.index("b1", tok(1), ids...)
		for part := range slices.Chunk(ids, 100) {
			h.append("b1", "hold", calls(tok(1), "", part...))
		}
		h.cancelBatch("b1")
		h.is(h.purge("b1", future), 3000)
		h.invariants()
		h.is(h.tidied(), 0) // no id leads nowhere
	})
}

// An append that is late changes nothing: its batch may be gone.
func TestLateAppend(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		a := Append{Batch: "b1", Policy: "hold", Until: h.now().Add(-time.Second), Calls: calls(tok(1), "", "a")}
		before := len(h.rdb.Keys(h.ctx, "*").Val())
		if _, err := h.l.Append(h.ctx, a); !errors.Is(err, ErrLate) {
			t.Errorf("late: %v", err)
		}
		h.is(len(h.rdb.Keys(h.ctx, "*").Val()), before)
		a.Until = h.now().Add(time.Minute)
		done, err := h.l.Append(h.ctx, a)
		h.no(err)
		h.is(newOnes(done), 1)
	})
}

func (h *harness) sealed(token string) string {
	h.t.Helper()
	sealed, err := h.l.Sealed(h.ctx, token)
	h.no(err)
	return sealed
}

func TestResealIsCompareAndSet(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"), calls(tok(2), "", "c"), calls(tok(3), "", "d"))
		h.append("b2", "hold", calls(tok(4), "", "e"))
		given := map[string]string{} // meanwhile, once for each token
		n, err := h.l.Reseal(h.ctx, func(token, sealed string) (string, error) {
			if given[token] != "" {
				h.is(sealed, given[token])
			} else {
				h.is(sealed, "sealed of "+token)
			}
			switch token {
			case tok(2):
				return sealed, nil
			case tok(3): // its producer seals under the older key, and is faster
				if given[token] == "" {
					given[token] = "older"
					again := calls(token, "", "d")
					again[0].Sealed = given[token]
					h.append("b1", "hold", again)
				}
			case tok(4): // purged
				h.cancelBatch("b2")
				h.purge("b2", future)
			}
			return "anew:" + sealed, nil
		})
		h.no(err)
		h.is(n, 2)
		h.invariants()
		h.is(h.start(tok(1)).Sealed, "anew:sealed of "+tok(1))
		h.is(h.start(tok(2)).Sealed, "sealed of "+tok(2))
		h.is(h.start(tok(3)).Sealed, "anew:older")
		h.is(h.sealed(tok(4)), "")
	})
}

// A token that is given again is kept as it was last sealed: that mends one whose sealing
// key was lost.
func TestTokenGivenAgainIsSealedAnew(t *testing.T) {
	for name, again := range map[string][]string{
		"the same call": {"a"}, "another call": {"new"}, "both": {"a", "new"}, "none that is open": {"done"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				h.append("b1", "hold", calls(tok(1), "", "done", "a", "b"), calls(tok(2), "", "x"))
				h.end(h.start(tok(1)), Done)
				h.giveUp(tok(1))
				rows := calls(tok(1), "", again...)
				for i := range rows {
					rows[i].Sealed = "anew"
				}
				h.append("b1", "hold", rows)
				h.is(h.sealed(tok(1)), "anew")
				h.is(h.sealed(tok(2)), "sealed of "+tok(2))
				h.decide(tok(1), DecisionRetry, Meant{})
				h.is(h.start(tok(1)).Sealed, "anew")
			})
		})
	}
}

func TestCallsOfABatch(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.unchecked = true
		h.fill(1500)
		seen := map[string]bool{}
		for c, err := range h.l.Calls(h.ctx, "b1", []string{testTag, "zz"}) {
			h.no(err)
			h.is(c.State, StateQueued)
			seen[c.Key] = true
		}
		h.is(len(seen), 1500)
		for range h.l.Calls(h.ctx, "b1", []string{testTag}) {
			break
		}
	})
}

func TestInspectAndSignal(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		other := "zz" + tok(0)[2:]
		delayed := calls(other, "", "d")
		delayed[0].At = h.now().Add(time.Hour)
		for _, some := range [][]NewCall{slices.Concat(calls(tok(1), "", "a"), calls(tok(2), "", "b"), calls(tok(3), "", "c")), delayed} {
			_, err := h.l.Append(h.ctx, Append{Batch: "b1", Policy: "hold", Calls: some})
			h.no(err)
		}
		run := h.start(tok(1))
		h.giveUp(tok(2))
		if ok, err := h.l.Requeue(h.ctx, h.dispatched[tok(3)]); !ok || err != nil {
			t.Fatal(ok, err)
		}
		all, err := h.l.Inspect(h.ctx)
		h.no(err)
		h.is(len(all), 2)
		b := all[0]
		h.is(fmt.Sprint(b.Tag, b.Ready, b.Due, b.Held, b.Delayed), testTag+"1 1 1 0")
		h.is(b.NextDue.Equal(run.LeaseEnds), true)
		h.is(fmt.Sprint(all[1].Tag, all[1].Delayed), "zz1")
		h.is(all[1].NextDue.UnixMilli(), delayed[0].At.UnixMilli())

		now := h.now()
		h.no(h.l.Signal(h.ctx, now))
		h.no(h.l.Signal(h.ctx, now, "cc", "dd"))
		h.no(h.l.Signal(h.ctx, now.Add(time.Second), "aa", "cc"))
		n, err := h.l.Signalled(h.ctx)
		h.no(err)
		h.is(n, 3)
		first, err := h.l.NextReady(h.ctx, time.Second, 1)
		h.no(err)
		rest, err := h.l.NextReady(h.ctx, time.Second, 10)
		h.no(err)
		h.is(fmt.Sprint(first, rest), "[cc] [dd aa]")
	})
}

func TestNextReadyWaits(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		got := make(chan []string)
		go func() {
			tags, _ := h.l.NextReady(h.ctx, 0, 1)
			got <- tags
		}()
		h.no(h.l.Signal(h.ctx, h.now(), "ab"))
		select {
		case tags := <-got:
			h.is(fmt.Sprint(tags), "[ab]")
		case <-time.After(time.Minute):
			t.Error("it was not woken")
		}
	})
}

// A caller that stops waits for nothing, and a bucket that its command takes after that is there for others.
func TestNextReadyEndsWithItsCaller(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		ended, cancel := context.WithCancel(h.ctx)
		cancel()
		if tags, err := h.l.NextReady(ended, 2*time.Second, 10); len(tags) > 0 || !errors.Is(err, context.Canceled) {
			h.t.Errorf("%v, %v", tags, err)
		}
		h.no(h.l.Signal(h.ctx, h.now(), "ab"))
		tags, err := h.l.NextReady(h.ctx, time.Minute, 10)
		h.no(err)
		h.is(fmt.Sprint(tags), "[ab]")
	})
}
