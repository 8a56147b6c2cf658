package engine

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/testkit/redistest"
)

// identityWorld enqueues rows that are written as "token chain ref id server". The last fields may
// be left out, and - stands for nothing. A row that begins with ! is rejected.
type identityWorld struct {
	*testing.T
	b          redistest.Backend
	p          *Producer
	op         *control.Control
	dispatched dispatches
}

func identity(t *testing.T, f func(w *identityWorld)) {
	t.Helper()
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		op, err := control.Open(b.Client, "", quota.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		f(&identityWorld{t, b, newTestProducer(t, b.Client), op, dispatches{}})
	})
}

func textRows(text string) iter.Seq2[Call, error] {
	return func(yield func(Call, error) bool) {
		for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
			line, bad := strings.CutPrefix(strings.TrimSpace(line), "!")
			f := append(strings.Fields(line), "-", "-", "-", "-", "-")
			for j := range f {
				f[j] = strings.TrimPrefix(f[j], "-")
			}
			c := Call{Token: Token(f[0]), Chain: f[1], Ref: f[2], ID: f[3], Server: "1", Row: i + 2, Source: i}
			if f[4] != "" {
				c.Server = f[4]
			}
			var err error
			if bad {
				err = errBadRow
				if c.Chain == "?" {
					c.Chain, err = "", errors.Join(errBadRow, ErrChainUnknown)
				}
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// sum is what a run did, such as "2 new 1 made 3 missing".
func sum(s Summary) string {
	var out []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{s.Enqueued, "new"}, {s.Made, "made"}, {s.Waiting, "waiting"}, {s.Held, "held"}, {s.Ended, "ended"}, {s.Conflicts, "conflict"},
		{s.Rejected, "rejected"}, {s.Withheld, "withheld"}, {s.Unplaced, "unplaced"}, {s.Missing, "missing"}, {s.Pruned, "pruned"},
		{s.Replaced, "replaced"}, {s.OutOfOrder, "disordered"},
	} {
		if p.n > 0 {
			out = append(out, fmt.Sprint(p.n, " ", p.what))
		}
	}
	return strings.Join(out, " ")
}

func (w *identityWorld) give(text, want string, opts ...BatchOptions) []error {
	w.Helper()
	var left []error
	var o BatchOptions
	if len(opts) > 0 {
		o = opts[0]
	}
	o.OnReject, o.OnLeftOut = func(error) error { return nil }, func(err error) error { left = append(left, err); return nil }
	s, err := w.p.EnqueueBatch(w.Context(), "b", textRows(text), o)
	if got := sum(s); err != nil || got != want {
		w.Errorf("got %q, %v, want %q", got, err, want)
	}
	if s.Rows != s.Enqueued+s.Duplicates+s.Conflicts+s.Rejected+s.Withheld {
		w.Errorf("the rows do not add up: %+v", s)
	}
	return left
}

// attempt makes the head of a token's chain end with o.
func (w *identityWorld) attempt(token, name string, o ledger.Outcome) {
	w.Helper()
	if a := w.begin(token, name); a.Key != "" {
		if _, err := w.p.ledger.Finish(w.Context(), &a, o, ledger.Stop, newID(), ""); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *identityWorld) begin(token, name string) ledger.Attempt {
	w.Helper()
	f := w.dispatched.of(w.T, w.p.ledger, ledger.ChainID(w.p.tokenIDs.Name(token), name))
	step, err := w.p.ledger.Begin(w.Context(), f, newID(), "")
	if err != nil || step.Status != ledger.Running {
		w.Fatalf("%+v, %v", step, err)
	}
	return step.Attempt
}

func (w *identityWorld) status() control.Status {
	w.Helper()
	s, err := w.op.Status(w.Context(), "b")
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// order is the refs of a chain's calls that wait, as they will be made.
func (w *identityWorld) order(token, name string, want string) {
	w.Helper()
	id := ledger.ChainID(w.p.tokenIDs.Name(token), name)
	var got string
	key := w.p.prefix + ":{" + ledger.Tag(id) + "}:"
	refs := append([]string{w.b.Client.HGet(w.Context(), key+"chain:"+id, "h").Val()}, w.b.Client.LRange(w.Context(), key+"queue:"+id, 0, -1).Val()...)
	seen := map[string]bool{}
	for i := len(refs) - 1; i >= 0; i-- { // of a call that stands there twice, the later one counts
		part := strings.Fields(refs[i])
		c, err := w.p.ledger.Call(w.Context(), part[0], w.p.tokenIDs.Name(token), part[1])
		if err != nil {
			w.Fatal(err)
		}
		if c.State.Open() && !seen[part[1]] {
			got = c.Ref + got
		}
		seen[part[1]] = true
	}
	if got != want {
		w.Errorf("the chain has %q, want %q", got, want)
	}
}
