package control_test

import (
	"testing"

	"habilita/internal/control"
)

func TestOverviewCountsAllChains(t *testing.T) {
	w := newWorld(t)
	if got, err := w.op.Overview(w.ctx); err != nil || got != (control.Overview{}) {
		t.Fatalf("of nothing: %+v %v", got, err)
	}
	w.enqueue("one", "0001", token("aa"), "", 3)
	w.attempt(token("aa"), giveUp)
	w.enqueue("one", "0001", token("bb"), "", 3)
	got, err := w.op.Overview(w.ctx)
	if want := (control.Overview{Ready: 1, Held: 1}); err != nil || got != want {
		t.Errorf("got %+v %v, want %+v", got, err, want)
	}
}
