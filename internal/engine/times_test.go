package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// A past time, however long ago, means now. A time that is too far ahead is refused by its
// field. None of them holds up another call of its group.
func TestTimesOfCalls(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		p := newTestProducer(t, b.Client)
		now := p.clock.Now()
		later := now.Add(time.Hour)
		times := map[string]time.Time{
			"none": {}, "year 0": time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), "1969": time.UnixMilli(-1), "1970": time.UnixMilli(0),
			"a moment ago": now.Add(-time.Second), "later": later, "years ahead": now.AddDate(9, 11, 0),
			"too far": now.AddDate(10, 1, 0), "year 146138514284": time.Unix(1<<62, 0),
		}
		refused := map[string]bool{"too far": true, "year 146138514284": true}
		var rows []Call
		for name, at := range times {
			for _, id := range []string{"", name} { // with an index entry, and without
				c := Call{Server: "1", Token: "tok", Ref: name, At: at}
				if id != "" {
					c.ID = fmt.Sprint("of-", len(rows))
				}
				rows = append(rows, c)
			}
		}
		var bad *CallError
		reject := func(err error) error {
			if !errors.As(err, &bad) || bad.Field != "at" || !refused[rows[bad.Index].Ref] {
				t.Error(err)
			}
			return nil
		}
		sum, err := p.EnqueueBatch(t.Context(), "b", given(rows), BatchOptions{OnReject: reject, NotBefore: later, Policy: "skip"})
		if err != nil || sum.Rejected != 2*len(refused) || sum.Enqueued != len(rows)-2*len(refused) {
			t.Fatalf("%+v, %v", sum, err)
		}
		// Those whose time has passed have joined their chain; none of them took the batch's time.
		got := map[string]int{}
		for _, refs := range p.refs(t, ledger.BatchID("b")) {
			for _, ref := range refs {
				got[ref]++
			}
		}
		for name, at := range times {
			want := 0
			if !at.IsZero() && !at.After(now) {
				want = 2
			}
			if got[name] != want {
				t.Errorf("%s: %d calls are in the chain, want %d", name, got[name], want)
			}
			if name == "none" {
				at = now
			}
			r, err := p.Enqueue(t.Context(), Call{Server: "1", Token: "tok", At: at})
			switch {
			case refused[name] && (!errors.As(err, &bad) || bad.Field != "at"):
				t.Errorf("%s, a single call: %v", name, err)
			case !refused[name] && (err != nil || r.Due.IsZero() != !at.After(now)):
				t.Errorf("%s, a single call: %+v, %v", name, r, err)
			}
		}
		_, err = p.EnqueueBatch(t.Context(), "far", given(rows[:1]), BatchOptions{NotBefore: now.AddDate(11, 0, 0)})
		if !errors.As(err, &bad) || bad.Field != "at" {
			t.Errorf("a batch too far ahead: %v", err)
		}
		if sum, err := p.EnqueueBatch(t.Context(), "old", given([]Call{{Server: "1", Token: "tok"}}), BatchOptions{NotBefore: time.Unix(-1e10, 0)}); err != nil || sum.Enqueued != 1 {
			t.Errorf("a batch of long ago: %+v, %v", sum, err)
		}
	})
}

// A batch that was put off, and is given again without its time, keeps it: a row that was added or corrected is not
// made before those that stand before it.
func TestPutOffBatchKeepsItsTime(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		p := newTestProducer(t, b.Client)
		now := p.clock.Now()
		later, soon := now.Add(time.Hour).Truncate(time.Millisecond), now.Add(time.Minute).Truncate(time.Millisecond)
		row := func(token, ref string, at time.Time) Call {
			return Call{Server: "1", Token: Token(token), Ref: ref, At: at}
		}
		none := time.Time{}
		for name, c := range map[string]struct {
			first, again []Call
			put, asked   time.Time // NotBefore, first and again
			want         time.Time
			keeps        bool
		}{
			"kept":           {[]Call{row("a", "1", none), row("b", "1", none)}, []Call{row("a", "0", none), row("c", "1", none)}, later, none, later, false},
			"another time":   {[]Call{row("a", "1", none)}, []Call{row("a", "2", none)}, later, soon, soon, true},
			"at once":        {[]Call{row("a", "1", none)}, []Call{row("a", "2", none)}, later, now.Add(-time.Second), none, true},
			"put off later":  {[]Call{row("a", "1", none)}, []Call{row("a", "2", none)}, none, later, later, true},
			"the same again": {[]Call{row("a", "1", none)}, []Call{row("a", "2", none)}, later, later, later, false},
			"not put off":    {[]Call{row("a", "1", none)}, []Call{row("a", "2", none)}, none, none, none, false},
			"times of rows":  {[]Call{row("a", "1", soon), row("b", "1", later)}, []Call{row("a", "2", none)}, none, none, none, false},
			"some at once":   {[]Call{row("a", "1", later), row("b", "1", none)}, []Call{row("a", "2", none)}, none, none, none, false},
		} {
			all := append(c.again, c.first...) // tokens of their own, since a chain is of a token
			for i := range all {
				all[i].Token += Token(strings.ReplaceAll(name, " ", "-"))
			}
			if _, err := p.EnqueueBatch(t.Context(), name, given(all[len(c.again):]), BatchOptions{NotBefore: c.put}); err != nil {
				t.Fatal(name, err)
			}
			sum, err := p.EnqueueBatch(t.Context(), name, given(all), BatchOptions{NotBefore: c.asked})
			if err != nil || sum.Enqueued != len(c.again) || sum.Duplicates != len(c.first) || !sum.NotBefore.Equal(c.want) || sum.Kept != c.keeps {
				t.Errorf("%s: %+v, %v", name, sum, err)
			}
			var inChains int
			for id := range p.refs(t, ledger.BatchID(name)) {
				if token, _ := ledger.SplitChainID(id); token == p.tokenIDs.Name("akept") {
					inChains++
				}
			}
			if name == "kept" && inChains > 0 {
				t.Errorf("%d chains have calls", inChains)
			}
		}
	})
}
