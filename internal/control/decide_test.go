package control_test

import (
	"errors"
	"strings"
	"testing"

	"habilita/internal/control"
	"habilita/internal/wolkvox"
)

// heldWorld has batch one, with held chains of aa (server 0001) and bb (0002), one
// more call behind each, and a held chain of cc that belongs to batch two, with a call
// of batch one behind it.
func heldWorld(t *testing.T) *world {
	w := newWorld(t)
	w.enqueue("one", "0001", token("aa"), "", 2)
	w.attempt(token("aa"), giveUp)
	w.enqueue("one", "0002", token("bb"), "", 2)
	w.attempt(token("bb"), giveUp)
	w.enqueue("two", "0001", token("cc"), "", 1)
	w.enqueue("one", "0001", token("cc"), "", 1)
	w.attempt(token("cc"), giveUp)
	if s := w.status("one"); !s.Settled || s.Failed != 2 || s.HeldChains != 2 || s.Open != 3 {
		t.Fatalf("begins with %+v", s)
	}
	return w
}

func TestRetryAndSkip(t *testing.T) {
	for _, tt := range []struct {
		name       string
		sel        control.Selection
		n          int
		failed     int // left, of batch one
		twosFailed int
	}{
		{"chain", control.Selection{Chain: token("aa")}, 1, 1, 1},
		{"batch", control.Selection{Batch: "one"}, 2, 0, 1},
		{"server", control.Selection{Server: "wv1"}, 2, 1, 0},
		{"all", control.Selection{All: true}, 3, 0, 0},
		{"another server", control.Selection{Server: "77"}, 0, 2, 1},
	} {
		for _, what := range []string{"retry", "skip"} {
			t.Run(what+" "+tt.name, func(t *testing.T) {
				w := heldWorld(t)
				act := w.op.Retry
				if what == "skip" {
					act = w.op.Skip
				}
				n, err := act(w.ctx, tt.sel)
				if err != nil || n != tt.n {
					t.Fatalf("got %d, %v; want %d", n, err, tt.n)
				}
				one, two := w.status("one"), w.status("two")
				if one.Failed != tt.failed || two.Failed != tt.twosFailed {
					t.Errorf("failed: %d and %d, want %d and %d", one.Failed, two.Failed, tt.failed, tt.twosFailed)
				}
				if skipped := one.Skipped + two.Skipped; what == "skip" && skipped != tt.n {
					t.Errorf("skipped %d, want %d", skipped, tt.n)
				}
				if n > 0 && one.Settled {
					t.Error("still settled")
				}
				if n, err = act(w.ctx, control.Selection{All: true}); err != nil || n != 3-tt.n {
					t.Errorf("all of the rest: %d, %v", n, err)
				}
			})
		}
	}
}

func TestCancel(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		sel                   control.Selection
		n                     int
		oneCancelled, oneOpen int
	}{
		{"chain", control.Selection{Chain: token("aa")}, 2, 2, 2},
		{"batch", control.Selection{Batch: "one"}, 5, 5, 0},
		{"server", control.Selection{Server: "0002"}, 2, 2, 2},
		{"all", control.Selection{All: true}, 6, 5, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := heldWorld(t)
			n, err := w.op.Cancel(w.ctx, tt.sel)
			if err != nil || n != tt.n {
				t.Fatalf("got %d, %v; want %d", n, err, tt.n)
			}
			if s := w.status("one"); s.Cancelled != tt.oneCancelled || s.Open != tt.oneOpen || s.Total != 5 {
				t.Errorf("got %+v", s)
			}
		})
	}
}

func TestCancelOfAChainThatIsNotHeld(t *testing.T) {
	w := newWorld(t)
	w.enqueue("one", "0001", token("aa"), "", 2)
	if n, err := w.op.Cancel(w.ctx, control.Selection{All: true}); n != 0 || err != nil {
		t.Fatalf("all: %d, %v", n, err)
	}
	if n, err := w.op.Cancel(w.ctx, control.Selection{Chain: token("aa")}); n != 2 || err != nil {
		t.Fatalf("chain: %d, %v", n, err)
	}
}

func TestDecisionsRefuse(t *testing.T) {
	w := heldWorld(t)
	var selection *control.SelectionError
	for _, s := range []control.Selection{{}, {Batch: "one", All: true}, {Chain: token("aa"), Server: "0001"}} {
		if _, err := w.op.Retry(w.ctx, s); !errors.As(err, &selection) {
			t.Errorf("%+v: %v", s, err)
		}
		if _, err := w.op.Cancel(w.ctx, s); !errors.As(err, &selection) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, id := range []string{"x", token("aa") + "}", token("aa") + ":a b"} {
		if _, err := w.op.Retry(w.ctx, control.Selection{Chain: id}); !errors.Is(err, control.ErrChainID) {
			t.Errorf("chain %q: %v", id, err)
		}
	}
	// An error says what is wrong, in words that are right for flags, parameters and fields.
	for problem, s := range map[string]control.Selection{
		"nothing is selected: give exactly one of chain, batch, server and all": {},
		`"no-such" is not a known reason: give one of bad_token, `:              {All: true, Cause: "no-such"},
		"a chain is selected, which takes no reason":                            {Chain: token("aa"), Cause: control.CauseOther},
	} {
		if _, err := s.Check(); err == nil || !strings.HasPrefix(err.Error(), problem) || strings.Contains(err.Error(), "--") {
			t.Errorf("%+v: %v", s, err)
		}
	}
	var server *wolkvox.ServerError
	if _, err := w.op.Skip(w.ctx, control.Selection{Server: "example.com"}); !errors.As(err, &server) {
		t.Errorf("server: %v", err)
	}
	for _, tt := range []struct{ want, err error }{
		{control.ErrNotHeld, second(w.op.Retry(w.ctx, control.Selection{Chain: token("zz")}))},
		{control.ErrNotHeld, second(w.op.Skip(w.ctx, control.Selection{Chain: token("zz")}))},
		{control.ErrNoChain, second(w.op.Cancel(w.ctx, control.Selection{Chain: token("zz")}))},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("got %v", tt.err)
		}
	}
}

func second(_ int, err error) error { return err }

// No new batch has such a name, but one of an older version may be in Redis.
func TestOldBatchNamedByDots(t *testing.T) {
	w := newWorld(t)
	w.enqueue("..", "0001", token("aa"), "", 2)
	if s, err := w.op.Status(w.ctx, ".."); err != nil || s.Open != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	if n, err := w.op.Cancel(w.ctx, control.Selection{Batch: ".."}); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
}
