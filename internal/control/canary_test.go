package control_test

import (
	"encoding/json"
	"strings"
	"testing"

	"habilita/internal/ledger"

	"habilita/internal/control"
)

func TestStatusTellsCanaries(t *testing.T) {
	w := newWorld(t)
	id := ledger.BatchID("one")
	if _, _, err := w.batches.Ensure(w.ctx, ledger.Batch{ID: id, Name: "one", Created: start, Canary: 1}); err != nil {
		t.Fatal(err)
	}
	w.enqueueMore("one", "0001", token("aa"), 2)
	want := func(state control.CanaryState, settled bool) {
		t.Helper()
		s := w.status("one")
		if s.Canary != (control.Canary{Tokens: 1, State: state}) || s.Settled != settled {
			t.Errorf("%+v; want %s, settled %t", s, state, settled)
		}
	}
	want(control.CanaryWaiting, false)
	w.attempt(token("aa"), giveUp)
	want(control.CanaryHeld, true)
	if _, err := w.op.Retry(w.ctx, control.Selection{Batch: "one"}); err != nil {
		t.Fatal(err)
	}
	want(control.CanaryWaiting, false)
	w.attempt(token("aa"), done)
	w.attempt(token("aa"), done)
	want(control.CanaryWaiting, false) // its producer is to go on: it is not done
	if err := w.batches.Release(w.ctx, id); err != nil {
		t.Fatal(err)
	}
	want(control.CanaryReleased, true)
	b, err := json.Marshal(w.status("one"))
	if err != nil || !strings.HasSuffix(string(b), `,"canary":{"tokens":1,"state":"released"}}`) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestACancelledCanarySettles(t *testing.T) {
	w := newWorld(t)
	if _, _, err := w.batches.Ensure(w.ctx, ledger.Batch{ID: ledger.BatchID("one"), Name: "one", Created: start, Canary: 1}); err != nil {
		t.Fatal(err)
	}
	w.enqueueMore("one", "0001", token("aa"), 1)
	w.attempt(token("aa"), done)
	if _, err := w.op.Cancel(w.ctx, control.Selection{Batch: "one"}); err != nil {
		t.Fatal(err)
	}
	if s := w.status("one"); !s.Settled || s.Canary.State != control.CanaryHeld {
		t.Errorf("%+v", s)
	}
}
