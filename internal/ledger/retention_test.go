package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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

func (h *harness) index(batch, token string, ids ...string) {
	var given []Given
	for _, id := range ids {
		given = append(given, Given{ID: id, Batch: batch, Token: token})
	}
	h.no(h.l.Index(h.ctx, given))
}

func (h *harness) found(id string) int {
	h.t.Helper()
	c, err := h.l.Find(h.ctx, id)
	h.no(err)
	return len(c)
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

// tidied is how many entries of the index are left after a day.
func (h *harness) tidied() int {
	h.t.Helper()
	h.tidy()
	h.dayPasses()
	h.tidy()
	return len(h.entries())
}

func (h *harness) tidy() {
	h.t.Helper()
	for from, left := 0, 8; left > 0; left-- { // in parts
		next, err := h.l.TidyIDs(h.ctx, from, 500)
		h.no(err)
		if from = next; from == 0 {
			return
		}
	}
}

// entries are those of the index, with their values.
func (h *harness) entries() map[string]string {
	out := map[string]string{}
	for _, key := range append(h.rdb.Keys(h.ctx, "*:ids").Val(), h.rdb.Keys(h.ctx, "*:places*").Val()...) {
		for field, v := range h.rdb.HGetAll(h.ctx, key).Val() {
			out[key+" "+field] = v
		}
	}
	return out
}

// dayPasses makes marks of the index a day older.
func (h *harness) dayPasses() {
	h.t.Helper()
	for place, v := range h.entries() {
		if len(v)%placeLen == 0 {
			continue
		}
		at, err := strconv.ParseInt(v[len(v)-13:], 10, 64)
		h.no(err)
		key, field, _ := strings.Cut(place, " ")
		h.no(h.rdb.HSet(h.ctx, key, field, fmt.Sprint(v[:len(v)-13], at-strayFor.Milliseconds())).Err())
	}
}

// An entry of the index goes when it has led nowhere for a day, and no sooner; one that leads
// to a call stays.
func TestTidyIDs(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(h *harness) // after it was marked
		day, left int
	}{
		"refused":                  {func(*harness) {}, 1, 1},
		"for less than a day":      {func(*harness) {}, 0, 2},
		"indexed again":            {func(h *harness) { h.index("b1", tok(1), "stray") }, 1, 2},
		"appended after all":       {func(h *harness) { h.append("b1", "hold", calls(tok(1), "", "stray")) }, 1, 2},
		"the other call is purged": {func(h *harness) { h.cancelBatch("b1"); h.purge("b1", future) }, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				h.index("b1", tok(1), "there", "stray")
				h.append("b1", "hold", calls(tok(1), "", "there"))
				h.tidy()
				h.is(len(h.entries()), 2)
				c.meanwhile(h)
				for range c.day {
					h.dayPasses()
				}
				h.tidy()
				h.is(len(h.entries()), c.left)
			})
		})
	}
}

// One that is indexed again while it is looked at is left.
func TestTidyIDsComparesAndSets(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.index("b1", tok(1), "a")
		h.tidy()
		h.dayPasses()
		key := h.l.indexKey(BatchID("a")[:2], singleIDs)
		seen, _, err := h.rdb.HScan(h.ctx, key, 0, "", 10).Result()
		h.no(err)
		h.index("b1", tok(1), "a")
		h.no(h.l.tidy(h.ctx, singleIDs, key, seen))
		h.is(len(h.entries()), 1)
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
				return "", nil
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

// A token that is given again is kept as it was sealed last: that mends one whose sealing
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

func TestFind(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		rows := calls(tok(1), "", "shared", "gl*b")
		rows = append(rows, NewCall{Token: tok(1), Key: UniqueKey("0"), Server: "0001"},
			NewCall{Token: tok(1), Chain: "n", Key: UniqueKey("n#0"), Server: "0001"})
		h.index("b1", tok(1), "shared", "gl*b", "nowhere")
		h.index("b2", tok(2), "shared", "globb")
		h.append("b1", "hold", rows)
		h.append("b2", "hold", calls(tok(2), "", "shared", "globb"))
		h.is(h.found("shared"), 2)
		h.is(h.found("gl*b"), 1)
		h.is(h.found("nowhere"), 0)
		h.is(h.found("nobody"), 0)
		for _, key := range []string{UniqueKey("0"), UniqueKey("n#0")} {
			c, err := h.l.Find(h.ctx, CallID("b1", tok(1), key))
			h.no(err)
			h.is(len(c), 1)
			h.is(c[0].Key, key)
		}
		// An id that looks like one that was made hides nothing, and is not hidden.
		twin := CallID("b1", tok(1), UniqueKey("0"))
		h.index("b2", tok(2), twin)
		h.append("b2", "hold", calls(tok(2), "", twin))
		h.is(h.found(twin), 2)
	})
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

// Who stops waits for nothing, and a bucket that its command takes after that is there for others.
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
