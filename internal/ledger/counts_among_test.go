package ledger

import (
	"fmt"
	"testing"
	"time"
)

func TestCountsAmongSomeCalls(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b", "hold", calls(tok(1), "", "a", "b"), calls(tok(2), "", "c"), calls(tok(3), "", "d"))
		of := map[string]struct{}{}
		want := func(counts string) {
			h.t.Helper()
			n, err := h.l.CountsAmong(h.ctx, "b", of)
			h.no(err)
			h.is(fmt.Sprint(n.Total, n.Succeeded, n.Failed, n.Open(), n.Blocked, n.HeldChains, n.Settled()), counts)
		}
		want("0 0 0 0 0 0 true")
		for _, f := range []string{tok(1) + "=a", tok(1) + "=b", tok(2) + "=c"} {
			of[f] = struct{}{}
		}
		want("3 0 0 3 0 0 false")
		h.giveUp(tok(3)) // none of them
		want("3 0 0 3 0 0 false")
		h.end(h.start(tok(2)), Done)
		later := calls(tok(1), "", "l")
		later[0].At = h.now().Add(time.Hour)
		h.append("b", "hold", calls(tok(1), "", "e"), calls(tok(2), "", "f"), later)
		h.giveUp(tok(1))
		want("3 1 1 1 1 1 true")
		of[tok(1)+"=l"] = struct{}{}
		want("4 1 1 2 1 1 false") // it is not in its chain yet
		// They are the counts of the batch if it has no other calls.
		of = map[string]struct{}{}
		for c, err := range h.l.Calls(h.ctx, "b", []string{testTag}) {
			h.no(err)
			of[c.Field()] = struct{}{}
		}
		n := h.counts("b")
		want(fmt.Sprint(n.Total, n.Succeeded, n.Failed, n.Open(), n.Blocked, n.HeldChains, n.Settled()))
	})
}
