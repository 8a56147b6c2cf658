package e2e

import (
	"strings"
	"testing"

	"habilita/internal/control"
	"habilita/internal/testkit/wolkvoxtest"
)

// The first tokens of a file go first, even if the producer is killed while it waits for them and
// the command is given again: no other token has a request before they have succeeded.
func TestFirstTokensGoFirst(t *testing.T) {
	const tokens, each, first = 40, 5, 3
	l := New(t)
	l.StartVendor("--latency=150ms")
	p := Plan{Batch: "careful", Rows: Many(tokens, each, good)}
	args := []string{"bulk", l.File("careful.csv", p.CSV()), "--batch", p.Batch, "--canary", "3", "--json", "--progress", "none"}
	producer := l.StartEnqueue(args...)
	l.AwaitStatus(p.Batch, "canaries are in the ledger", 0, func(s control.Status) bool { return s.Total == first*each })
	l.Workers(2)
	l.Vendor.AwaitRequests(2, Patience)
	producer.Kill()
	l.AwaitStatus(p.Batch, "canaries are made", 0, func(s control.Status) bool { return s.Succeeded == first*each })
	if st := l.Status(p.Batch); st.Total != first*each || st.Settled {
		t.Errorf("with nobody there to enqueue the others: %+v", st)
	}
	again := l.MustEnqueue(args...)
	var sum Summary
	l.JSON(again, &sum)
	if sum.Enqueued != (tokens-first)*each || sum.Duplicates != first*each {
		t.Errorf("%+v", sum)
	}
	l.AwaitSettled(p.Batch, Patience)
	if v := l.MustKeep(Terms{}, p); v.Succeeded != tokens*each || v.Requests != tokens*each {
		t.Errorf("%+v", v)
	}
	a := l.Vendor.Account()
	last := a.Records[first*each-1]
	canaries := map[string]bool{}
	for _, r := range a.Records[:first*each] {
		canaries[r.Token] = true
	}
	if len(canaries) != first || a.Records[first*each].Arrived.Before(last.Ended) {
		t.Errorf("the first %d requests are of %d tokens; the next came before the last had ended: %v",
			first*each, len(canaries), a.Records[first*each].Arrived.Before(last.Ended))
	}
}

// If a canary is given up, the others are not enqueued, and every command says so.
func TestBatchHoldsAtItsCanary(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=5ms", "--bad-token=bad-")
	rows := append([]Row{{Token: "bad-first"}, {Token: "bad-first"}}, Many(20, 2, good)...)
	p := Plan{Batch: "holds", Rows: rows}
	l.Workers(1)
	r := l.Enqueue("bulk", l.File("holds.csv", p.CSV()), "--batch", p.Batch, "--canary", "1", "--progress", "none")
	if r.Exit != 3 || !strings.Contains(r.Stderr, "the batch holds") || !strings.Contains(r.Stderr, "40 rows are not enqueued") {
		t.Errorf("%s", r)
	}
	if st := l.Status(p.Batch); st.Total != 2 || st.HeldChains != 1 || !st.Settled {
		t.Errorf("%+v", st)
	}
	if n := l.Vendor.Account().Totals.Requests; n != 1 {
		t.Errorf("%d requests, want the refused one alone", n)
	}
	// A person decides to enqueue the others all the same.
	l.MustEnqueue("bulk", l.File("holds.csv", p.CSV()), "--batch", p.Batch, "--canary", "0", "--progress", "none")
	l.AwaitStatus(p.Batch, "the others are made", 0, func(s control.Status) bool { return s.Succeeded == 40 })
	if over := l.Vendor.Account().OverSlots(); len(over) > 0 {
		t.Errorf("over the slots: %v", []wolkvoxtest.Violation(over))
	}
}
