package ledger

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Scheduled calls are listed with their time, page by page, and cancelled by chain: those
// of other chains stay, and so does one that has joined its chain.
func TestScheduledCalls(t *testing.T) {
	t.Parallel()
	both(t, setup{}, func(h *harness) {
		soon := h.now().Add(time.Second) // a slow machine appends in less
		later := h.now().Add(time.Hour).Truncate(time.Millisecond)
		batch := BatchID("b")
		var calls []NewCall
		const n = perPage + 7
		for i := range n {
			calls = append(calls, NewCall{Token: tok(1), Key: UniqueKey(fmt.Sprint(i)), Server: "0001", Sealed: "s", At: later.Add(time.Duration(i) * time.Millisecond)})
		}
		calls = append(calls,
			NewCall{Token: tok(1), Chain: "other", Key: UniqueKey("other#0"), Server: "0001", Sealed: "s", At: later},
			NewCall{Token: tok(2), Key: UniqueKey("0"), Server: "0001", Sealed: "s", At: later},
			NewCall{Token: tok(1), Key: GivenKey("due-soon"), Server: "0001", Sealed: "s", At: soon})
		done, err := h.l.Append(h.ctx, Append{Batch: batch, Policy: "hold", Calls: calls})
		if err != nil || !slices.Equal(done.Ready, []string{testTag}) { // so that a worker learns when they are due
			t.Fatalf("%+v, %v", done, err)
		}
		seen := map[string]time.Time{}
		read := func() {
			clear(seen)
			for s, err := range h.l.Scheduled(h.ctx, []string{testTag}) {
				if err != nil {
					t.Fatal(err)
				}
				if _, twice := seen[s.ID]; twice || s.State != StateQueued {
					t.Errorf("%+v, seen before: %v", s, twice)
				}
				seen[s.ID] = s.DueAt.Time
				if due, err := h.l.Due(h.ctx, s.Batch, s.TokenID, s.Key); err != nil || !due.Equal(s.DueAt.Time) {
					t.Fatalf("due %v, %v, listed with %v", due, err, s.DueAt)
				}
			}
		}
		read()
		if len(seen) != n+3 || !seen[CallID(batch, tok(1), UniqueKey("3"))].Equal(later.Add(3*time.Millisecond)) {
			t.Fatalf("%d are told", len(seen))
		}
		h.pass(1010 * time.Millisecond)
		if _, err := h.dispatchBucket(testTag, 0); err != nil {
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
		joined, err := h.l.Call(h.ctx, batch, tok(1), GivenKey("due-soon"))
		if err != nil || joined.State != StateQueued {
			t.Errorf("%+v, %v", joined, err)
		}
		if due, err := h.l.Due(h.ctx, joined.Batch, joined.TokenID, joined.Key); err != nil || !due.IsZero() {
			t.Errorf("it has joined its chain, and is due at %v, %v", due, err)
		}
	})
}

// The counts say when a batch begins, however and in whatever order its calls were put off.
func TestCountsTellWhenABatchBegins(t *testing.T) {
	const hour = time.Hour
	for name, c := range map[string]struct {
		at          [][]time.Duration // of the calls of each append; 0: at once
		first, last time.Duration     // 0: none
	}{
		"nothing put off":            {[][]time.Duration{{0, 0}}, 0, 0},
		"all put off":                {[][]time.Duration{{2 * hour, 1 * hour, 3 * hour}}, 1 * hour, 3 * hour},
		"earlier ones come later":    {[][]time.Duration{{2 * hour}, {1 * hour}, {3 * hour}}, 1 * hour, 3 * hour},
		"one at once among them":     {[][]time.Duration{{2 * hour, 0}}, 0, 2 * hour},
		"one at once after them":     {[][]time.Duration{{2 * hour}, {0}, {1 * hour}}, 0, 2 * hour},
		"one at once before them":    {[][]time.Duration{{0}, {2 * hour}}, 0, 2 * hour},
		"in another bucket, at once": {[][]time.Duration{{2 * hour}, {-1}}, 0, 2 * hour},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				now, batch, n := h.now().Truncate(time.Millisecond), BatchID("b"), 0
				other := TagAt(TagIndex(testTag)+1) + tok(1)[2:]
				for _, group := range c.at {
					a := Append{Batch: batch, Policy: "hold"}
					for _, d := range group {
						call := NewCall{Token: tok(1 + n), Key: UniqueKey(fmt.Sprint(n)), Server: "0001", Sealed: "s"}
						if n++; d > 0 {
							call.At = now.Add(d)
						} else if d < 0 {
							call.Token = other
						}
						a.Calls = append(a.Calls, call)
					}
					if _, err := h.l.Append(h.ctx, a); err != nil {
						t.Fatal(err)
					}
				}
				got, err := h.l.Counts(h.ctx, batch, []string{testTag, Tag(other)})
				if err != nil {
					t.Fatal(err)
				}
				for _, w := range []struct {
					what string
					got  time.Time
					want time.Duration
				}{{"first", got.FirstDue, c.first}, {"last", got.LastDue, c.last}} {
					if w.want == 0 && !w.got.IsZero() || w.want > 0 && !w.got.Equal(now.Add(w.want)) {
						t.Errorf("%s due at %v, want %v after %v", w.what, w.got, w.want, now)
					}
				}
			})
		})
	}
}
