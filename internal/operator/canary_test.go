package operator_test

import (
	"encoding/json"
	"strings"
	"testing"

	"habilita/internal/batch"
	"habilita/internal/chain"
	"habilita/internal/operator"
)

func TestStatusTellsCanaries(t *testing.T) {
	w := newWorld(t)
	id := chain.BatchID("one")
	if _, _, err := w.batches.Ensure(w.ctx, batch.Meta{ID: id, Name: "one", Created: start, Canary: 1}); err != nil {
		t.Fatal(err)
	}
	w.enqueueMore("one", "0001", token("aa"), 2)
	want := func(state operator.CanaryState, settled bool) {
		t.Helper()
		s := w.status("one")
		if s.Canary != (operator.Canary{Tokens: 1, State: state}) || s.Settled != settled {
			t.Errorf("%+v; want %s, settled %t", s, state, settled)
		}
	}
	want(operator.CanaryWaiting, false)
	w.attempt(token("aa"), giveUp)
	want(operator.CanaryHeld, true)
	if _, err := w.op.Retry(w.ctx, operator.Selection{Batch: "one"}); err != nil {
		t.Fatal(err)
	}
	want(operator.CanaryWaiting, false)
	w.attempt(token("aa"), done)
	w.attempt(token("aa"), done)
	want(operator.CanaryWaiting, false) // its producer is to go on: it is not done
	if err := w.batches.Release(w.ctx, id); err != nil {
		t.Fatal(err)
	}
	want(operator.CanaryReleased, true)
	b, err := json.Marshal(w.status("one"))
	if err != nil || !strings.HasSuffix(string(b), `,"canary":{"tokens":1,"state":"released"}}`) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestACancelledCanarySettles(t *testing.T) {
	w := newWorld(t)
	if _, _, err := w.batches.Ensure(w.ctx, batch.Meta{ID: chain.BatchID("one"), Name: "one", Created: start, Canary: 1}); err != nil {
		t.Fatal(err)
	}
	w.enqueueMore("one", "0001", token("aa"), 1)
	w.attempt(token("aa"), done)
	if _, err := w.op.Cancel(w.ctx, operator.Selection{Batch: "one"}); err != nil {
		t.Fatal(err)
	}
	if s := w.status("one"); !s.Settled || s.Canary.State != operator.CanaryHeld {
		t.Errorf("%+v", s)
	}
}
