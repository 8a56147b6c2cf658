package localrun

import (
	"errors"
	"os"
	"strings"
	"testing"

	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/testkit/wolkvoxtest"
)

// An outcome that comes after the end, from a worker that could not wait for its request, does no harm.
func TestOutcomeAfterTheEnd(t *testing.T) {
	j := start(t, config(newFile(t, "x"), wolkvoxtest.Start(t, wolkvoxtest.Options{})), rows(1, 1))
	if err := j.results.finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.afterOutcome(engine.Recorded{Attempt: &ledger.Attempt{Chain: aChain, Key: "=call-0", Nonce: "n"}, Outcome: ledger.Outcome{Kind: ledger.Done, Slot: ledger.Release}})
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// A crash after an outcome's record leaves no row, half of one, or all: the next start
// writes the results from the journal, and calls nothing.
func TestResultsAreWrittenFromTheJournal(t *testing.T) {
	sim := wolkvoxtest.Start(t, wolkvoxtest.Options{})
	c := config(newFile(t, "x"), sim)
	for i, left := range []string{"", "", "call-0,succ", "call-0,succeeded\ncall-0,succeeded\n"} {
		if i > 0 {
			if err := os.WriteFile(ResultsOf(c.File), []byte(left), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		j := start(t, c, rows(3, 2))
		s, err := j.Work(t.Context(), false, func(State) {})
		if err := errors.Join(err, j.Close()); err != nil || !s.AllSucceeded() {
			t.Fatalf("%+v, %v", s, err)
		}
		if rows := strings.Join(resultsIn(t, c.File), " "); strings.Count(rows, ",succeeded") != 3 || strings.Count(rows, ",") != 3 {
			t.Errorf("after %q: %q", left, rows)
		}
	}
	if n := sim.Account().Totals.Requests; n != 3 {
		t.Errorf("%d requests", n)
	}
}
