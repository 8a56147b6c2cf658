package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// raw returns the fields of a chain that belong to its head alone, as they are stored.
func (h *harness) raw(id string) string {
	h.t.Helper()
	all, err := h.rdb.HGetAll(h.ctx, h.prefix+":{"+testTag+"}:chain:"+id).Result()
	h.no(err)
	out := ""
	for _, f := range slices.Sorted(maps.Keys(all)) {
		if strings.Contains("aptymned", f) && all[f] != "0" {
			out += f
		}
	}
	return out
}

// worn makes the head of a chain fail, be pushed back and, if dispatched is true, be dispatched without an
// answer. After that, all that a head may have is written down.
func (h *harness) worn(id string, dispatched bool) {
	h.t.Helper()
	h.finish(h.start(id), Outcome{Kind: Fail}, false)
	h.finish(h.start(id), Outcome{Kind: PushBack}, false)
	h.pass(2 * time.Millisecond)
	want := "adenpty"
	if dispatched && h.b.SetTime != nil { // a real Redis would wait for 10 s
		h.dispatch(id)
		h.pass(11 * time.Second)
		want = "ademnpty"
	}
	h.dispatchDue()
	h.is(h.raw(id), want)
}

// A chain's new head begins with nothing of the one before it, whatever ended that one.
func TestNewHeadBeginsAnew(t *testing.T) {
	a := func(h *harness) Attempt {
		h.t.Helper()
		s := h.begin(h.dispatched[tok(1)])
		h.is(s.Status, Running)
		return s.Attempt
	}
	run := "aden"
	for name, c := range map[string]struct {
		policy string
		end    func(h *harness)
		want   string // what the next head has: run where it runs
		head   string // "": b
		lease  time.Duration
	}{
		"success":          {end: func(h *harness) { h.end(a(h), Done) }},
		"success, goes on": {end: func(h *harness) { h.finishOn(a(h), Outcome{Kind: Done}, Own) }, want: run},
		"success, another waits": {end: func(h *harness) {
			h.append("b3", "hold", calls(tok(1), "x", "x"), calls(tok(1), "y", "y"))
			head := a(h)
			x := h.dispatch(ChainID(tok(1), "x"))
			h.begin(x)
			h.is(why(h.begin(h.dispatch(ChainID(tok(1), "y")))), "deferred slots")
			h.is(h.finishOn(head, Outcome{Kind: Done}, Any).Attempt.Key, "=y")
		}, want: "y"},
		"success, server away": {end: func(h *harness) {
			head := a(h)
			h.away = fmt.Sprintf("0001=%d ", h.now().Add(time.Hour).UnixMilli())
			h.finishOn(head, Outcome{Kind: Done}, Own)
		}, want: "y"},
		"given up, skip":   {policy: "skip", end: func(h *harness) { h.end(a(h), GiveUp) }},
		"given up, cancel": {policy: "cancel", end: func(h *harness) { h.end(a(h), GiveUp) }},
		"lost, skip": {policy: "skip", end: func(h *harness) {
			a(h)
			h.pass(shortLease)
			_, err := h.dispatchBucket(testTag, 0)
			h.no(err)
			h.check()
		}, lease: shortLease},
		"lost, batch cancelled": {end: func(h *harness) {
			a(h)
			h.cancelBatch("b1")
			h.pass(shortLease)
			_, err := h.dispatchBucket(testTag, 0)
			h.no(err)
			h.check()
		}, lease: shortLease},
		"skipped by a person": {end: func(h *harness) { h.end(a(h), GiveUp); h.decide(tok(1), DecisionSkip, Meant{}) }},
		"retried by a person": {end: func(h *harness) { h.end(a(h), GiveUp); h.decide(tok(1), DecisionRetry, Meant{}) }, head: "=a"},
		"late success while held": {end: func(h *harness) {
			late := a(h)
			h.pass(shortLease)
			h.dispatchDue()
			h.is(h.chain(tok(1)).State, "held")
			h.end(late, Done)
		}, lease: shortLease},
		"batch cancelled":               {end: func(h *harness) { h.cancelBatch("b1") }},
		"batch cancelled, head held":    {end: func(h *harness) { h.end(a(h), GiveUp); h.cancelBatch("b1") }},
		"batch cancelled while it runs": {end: func(h *harness) { head := a(h); h.cancelBatch("b1"); h.end(head, Fail) }},
		"many passed over": {end: func(h *harness) {
			ids := make([]string, 1200)
			for i := range ids {
				ids[i] = fmt.Sprint(i)
			}
			h.append("b3", "hold", calls(tok(1), "", ids...))
			h.append("b2", "hold", calls(tok(1), "", "c"))
			h.cancelBatch("b2")
			head := a(h)
			h.cancelBatch("b3")
			h.append("b4", "hold", calls(tok(1), "", "d"))
			h.end(head, Done)
			for h.chain(tok(1)).Head.Key != "=d" {
				h.begin(h.dispatch(tok(1)))
			}
		}, want: run, head: "=d"},
		"chain cancelled, and new": {end: func(h *harness) {
			h.cancelChain(tok(1), Meant{}, false)
			h.append("b2", "hold", calls(tok(1), "", "n"))
		}, head: "=n"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{lease: c.lease, maxAttempts: 2}, func(h *harness) {
				h.append("b1", cmp.Or(c.policy, "hold"), calls(tok(1), "", "a"))
				h.append("b2", "hold", calls(tok(1), "", "b"))
				h.worn(tok(1), true)
				if _, dispatched := h.dispatched[tok(1)]; !dispatched {
					h.dispatch(tok(1))
				}
				c.end(h)
				h.is(h.chain(tok(1)).Head.Key, cmp.Or(c.head, "=b"))
				h.is(h.raw(tok(1)), c.want)
			})
		})
	}
}
