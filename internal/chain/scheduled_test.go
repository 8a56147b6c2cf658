package chain

import (
	"testing"
	"time"
)

// Scheduled calls are told with their time, page by page, and taken out by chain: those
// of others stay, and so does one that has joined its chain.
func TestScheduledCalls(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		soon := h.now().Add(50 * time.Millisecond)
		later := h.now().Add(time.Hour).Truncate(time.Millisecond)
		batch := BatchID("b")
		var calls []NewCall
		const n = perPage + 7
		for i := range n {
			calls = append(calls, NewCall{Token: tok(1), Key: OrdinalKey("", i), Server: "0001", Sealed: "s", At: later.Add(time.Duration(i) * time.Millisecond)})
		}
		calls = append(calls,
			NewCall{Token: tok(1), Chain: "other", Key: OrdinalKey("other", 0), Server: "0001", Sealed: "s", At: later},
			NewCall{Token: tok(2), Key: OrdinalKey("", 0), Server: "0001", Sealed: "s", At: later},
			NewCall{Token: tok(1), Key: GivenKey("due soon"), Server: "0001", Sealed: "s", At: soon})
		if _, err := h.l.Append(h.ctx, Append{Batch: batch, Policy: "hold", Calls: calls}); err != nil {
			t.Fatal(err)
		}
		seen := map[string]time.Time{}
		read := func() {
			clear(seen)
			for s, err := range h.l.Scheduled(h.ctx, []string{testTag}) {
				if err != nil {
					t.Fatal(err)
				}
				if _, twice := seen[s.Call.ID()]; twice || s.Call.State != StateQueued {
					t.Errorf("%+v, seen before: %v", s, twice)
				}
				seen[s.Call.ID()] = s.Due
				if due, err := h.l.Due(h.ctx, s.Call); err != nil || !due.Equal(s.Due) {
					t.Fatalf("due %v, %v, listed with %v", due, err, s.Due)
				}
			}
		}
		read()
		if len(seen) != n+3 || !seen[CallID(batch, tok(1), OrdinalKey("", 3))].Equal(later.Add(3*time.Millisecond)) {
			t.Fatalf("%d are told", len(seen))
		}
		h.pass(60 * time.Millisecond)
		if _, err := h.l.Pump(h.ctx, testTag, 0); err != nil {
			t.Fatal(err)
		}
		if got, err := h.l.CancelScheduled(h.ctx, tok(1)); got != n || err != nil {
			t.Errorf("cancelled %d, %v", got, err)
		}
		if got, err := h.l.CancelScheduled(h.ctx, tok(1)); got != 0 || err != nil {
			t.Errorf("again: %d, %v", got, err)
		}
		read()
		if len(seen) != 2 {
			t.Errorf("left: %v", seen)
		}
		c, err := h.l.Counts(h.ctx, batch, []string{testTag})
		if err != nil || c.Cancelled != n || c.Open() != 3 {
			t.Errorf("%+v, %v", c, err)
		}
		joined, err := h.l.Call(h.ctx, batch, tok(1), GivenKey("due soon"))
		if err != nil || joined.State != StateQueued {
			t.Errorf("%+v, %v", joined, err)
		}
		if due, err := h.l.Due(h.ctx, joined); err != nil || !due.IsZero() {
			t.Errorf("it has joined its chain, and is due at %v, %v", due, err)
		}
	})
}
