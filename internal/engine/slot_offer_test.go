package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// A run that is put off at its begin publishes the chain that now has a slot offer.
func TestRunThatIsPutOffPassesItsSlotOfferOn(t *testing.T) {
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), func(o *WorkerOptions) { o.Quota.Slots = 1 }).closing()
	l, ctx := w.stack.ledger, t.Context()
	begin := func(name string) *ledger.Step {
		n := (&Producer{stack: w.stack}).prepare(&Call{Server: "0001", Token: "token-1", Chain: name})
		n.Key = ledger.GivenKey(name)
		if _, err := l.Append(ctx, ledger.Append{Batch: ledger.NoBatch, Calls: []ledger.NewCall{n}}); err != nil {
			t.Fatal(err)
		}
		step, err := l.Begin(ctx, w.dispatch(ledger.ChainID(n.Token, name)), newID(), "")
		if err != nil {
			t.Fatal(err)
		}
		return step
	}
	a, x, y := begin("a"), begin("x"), begin("y")
	step, err := l.Finish(ctx, &a.Attempt, ledger.Outcome{Kind: ledger.Done, Slot: ledger.Release}, ledger.Stop, newID(), "")
	if err != nil || step.Woken == nil || step.Woken.Chain != x.Chain {
		t.Fatalf("%+v, %v", step, err)
	}
	// A request of x may still be at the vendor.
	quiet := fmt.Sprintf("habilita:{%s}:quiet:%s", ledger.Tag(x.Chain), x.Chain)
	if err := m.Set(quiet, fmt.Sprint(time.Now().Add(time.Minute).UnixMilli())); err != nil {
		t.Fatal(err)
	}
	var carried []string
	w.runner.current = func() bool { return true }
	w.runner.publish = func(_ context.Context, f ledger.Dispatch) {
		carried = append(carried, f.Chain)
	}
	if err := w.runner.run(ctx, *step.Woken); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(carried) != fmt.Sprint([]string{y.Chain}) {
		t.Errorf("handed over %v, want %s", carried, y.Chain)
	}
}
