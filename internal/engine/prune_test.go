package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"habilita/internal/ledger"
)

func TestPrune(t *testing.T) {
	identity(t, func(w *identityWorld) {
		_ = w.give("t - a\nt - b\nt - c\nu - a\nu - b\nv - a\nx - a i", "7 new")
		if _, err := w.p.Enqueue(w.Context(), Call{Server: "1", Token: "t", Batch: "b"}); err != nil {
			t.Fatal(err) // it is none of the file's
		}
		w.attempt("u", "", givenUp) // it holds its chain
		running := w.begin("v", "")
		// Nothing is pruned if a row is left out, or if another run lives.
		_ = w.give("t - a\n!y", "1 waiting 1 rejected 6 missing", BatchOptions{Prune: true})
		if ok, err := w.p.batches.Lease(w.Context(), ledger.BeginRun, ledger.BatchID("b"), "other"); !ok || err != nil {
			t.Fatal(ok, err)
		}
		s, err := w.p.EnqueueBatch(w.Context(), "b", textRows("t - a\nt - c\nu - b\nx - a i"), BatchOptions{Prune: true})
		if err != nil || sum(s) != "4 waiting 3 missing" || !errors.Is(s.NotPruned, ErrOtherRun) || !strings.HasSuffix(NotPrunedWords(s.NotPruned, "--prune"), "(a run that was killed ends after 15s)") {
			t.Errorf("%+v, %v", s, err)
		}
		if _, err := w.p.batches.Lease(w.Context(), ledger.EndRun, ledger.BatchID("b"), "other"); err != nil {
			t.Fatal(err)
		}
		// A call that runs is left, a held head is not: its chain goes on.
		_ = w.give("t - a\nt - c\nu - b\nx - a i", "4 waiting 3 missing 2 pruned", BatchOptions{Prune: true})
		w.order("t", "", "ac")
		w.attempt("u", "", made)
		if _, err := w.p.ledger.Finish(w.Context(), &running, made, ledger.Stop, newID(), ""); err != nil {
			t.Fatal(err)
		}
		if s := w.status(); s.Cancelled != 2 || s.Succeeded != 2 || s.Failed != 0 || s.HeldChains != 0 {
			t.Errorf("%+v", s)
		}
		// Their rows come back: they are new, at the end of their chain.
		_ = w.give("t - a\nt - b\nt - c\nu - a\nu - b\nv - a\nx - a i", "2 new 2 made 3 waiting 2 disordered")
		w.order("t", "", "acb")
		// A call that conflicts and was never sent is replaced, one that was sent is not.
		_ = w.give("t - a\nt - b\nt - c\nu - a\nu - b\nv - a\nx - a i 2\nx - b", "2 new 2 made 4 waiting 1 replaced", BatchOptions{Prune: true})
		w.attempt("x", "", failed)
		_ = w.give("t - a\nt - b\nt - c\nu - a\nu - b\nv - a\nx - a i 3", "2 made 4 waiting 1 conflict 1 missing", BatchOptions{Prune: true})
	})
}

// A pruned row that comes back is made where it joined again, not where it stood before.
func TestPrunedRowIsMadeWhereItCameBack(t *testing.T) {
	identity(t, func(w *identityWorld) {
		_ = w.give("t - a\nt - b\nt - c", "3 new")
		_ = w.give("t - a\nt - c", "2 waiting 1 missing 1 pruned", BatchOptions{Prune: true})
		_ = w.give("t - a\nt - b\nt - c", "1 new 2 waiting 1 disordered")
		got := ""
		for range 3 {
			a := w.begin("t", "")
			c, err := w.p.ledger.Call(w.Context(), ledger.BatchID("b"), w.p.tokenIDs.Name("t"), a.Key)
			if err != nil {
				t.Fatal(err)
			}
			got += c.Ref
			if _, err := w.p.ledger.Finish(w.Context(), &a, made, ledger.Stop, newID(), ""); err != nil {
				t.Fatal(err)
			}
		}
		if got != "acb" {
			t.Errorf("made in the order %q, want acb", got)
		}
	})
}

func TestPruneIsLimited(t *testing.T) {
	identity(t, func(w *identityWorld) {
		var all []string
		for i := range 30 {
			all = append(all, fmt.Sprint("t - ", i))
		}
		_ = w.give(strings.Join(all, "\n"), "30 new")
		for _, c := range []struct {
			keep, n, pruned int
		}{{9, 0, 0}, {9, 20, 0}, {10, 0, 20}, {9, 1, 1}, {3, 5, 0}, {3, 6, 6}} {
			s, err := w.p.EnqueueBatch(w.Context(), "b", textRows(strings.Join(all[:c.keep], "\n")), BatchOptions{Prune: true, PruneExactly: c.n})
			var count *PruneCountError
			if err != nil || s.Pruned != c.pruned || errors.As(s.NotPruned, &count) != (c.pruned == 0) {
				t.Errorf("%+v: %+v, %v", c, s, err)
			}
		}
	})
}

// Calls may end between the two readings. The number of missing calls is that of the second one.
func TestPruneCountsAgainAfterItsLook(t *testing.T) {
	for exactly, want := range map[int]string{1000: "1 waiting 21 missing", 0: "1 waiting 21 missing", 21: "1 waiting 21 missing 21 pruned"} {
		identity(t, func(w *identityWorld) {
			var all []string
			for i := range 24 {
				all = append(all, fmt.Sprintf("t%d - a", i))
			}
			_ = w.give(strings.Join(all, "\n"), "24 new")
			readings := 0
			again := func(yield func(Call, error) bool) {
				if readings++; readings == 2 {
					w.attempt("t1", "", made)
					w.attempt("t2", "", made)
				}
				textRows(all[0])(yield)
			}
			s, err := w.p.EnqueueBatch(w.Context(), "b", again, BatchOptions{Prune: true, PruneExactly: exactly})
			if err != nil || sum(s) != want {
				t.Errorf("%d: %s, %v", exactly, sum(s), err)
			}
			if count, ok := errors.AsType[*PruneCountError](s.NotPruned); ok != (exactly != 21) || ok && count.Missing != s.Missing {
				t.Errorf("%d: %d missing, not pruned: %v", exactly, s.Missing, s.NotPruned)
			}
		})
	}
}

// While one run prunes, no other begins.
func TestRunsThatPruneAreAlone(t *testing.T) {
	identity(t, func(w *identityWorld) {
		_ = w.give("t - a", "1 new")
		id := ledger.BatchID("b")
		if ok, err := w.p.batches.Lease(t.Context(), ledger.BeginRun, id, "first"); !ok || err != nil {
			t.Fatal(err)
		}
		if ok, err := w.p.batches.Lease(t.Context(), ledger.RunAlone, id, "first"); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, err := w.p.EnqueueBatch(t.Context(), "b", textRows("t - a"), BatchOptions{}); !errors.Is(err, ledger.BatchBusy) {
			t.Error(err)
		}
		if _, err := w.p.batches.Lease(t.Context(), ledger.EndRun, id, "first"); err != nil {
			t.Fatal(err)
		}
		_ = w.give("t - a", "1 waiting")
	})
}

// What conflicts is replaced only if the whole prune may be done, and a look says the same.
func TestPruneReplacesOnlyIfItMayPrune(t *testing.T) {
	prune := BatchOptions{Prune: true}
	look := BatchOptions{Prune: true, Look: true}
	identity(t, func(w *identityWorld) {
		_ = w.give("t - a i\nu - b j", "2 new")
		_ = w.give("t - a i 2\nu - b j", "1 new 1 waiting 1 replaced", look)
		_ = w.give("t - a i 2\n!u", "1 conflict 1 rejected 1 missing", look)
		_ = w.give("t - a i 2\n!u", "1 conflict 1 rejected 1 missing", prune)
		// Another run lives: its call may be the one that would be replaced.
		if ok, err := w.p.batches.Lease(w.Context(), ledger.BeginRun, ledger.BatchID("b"), "other"); !ok || err != nil {
			t.Fatal(ok, err)
		}
		s, err := w.p.EnqueueBatch(w.Context(), "b", textRows("t - a i 2\nu - b j"), prune)
		if err != nil || sum(s) != "1 waiting 1 conflict" || !errors.Is(s.NotPruned, ErrOtherRun) {
			t.Errorf("%s %+v, %v", sum(s), s, err)
		}
		if _, err := w.p.batches.Lease(w.Context(), ledger.EndRun, ledger.BatchID("b"), "other"); err != nil {
			t.Fatal(err)
		}
		_ = w.give("t - a i 2\nu - b j", "1 new 1 waiting 1 replaced", prune)
	})
	identity(t, func(w *identityWorld) {
		var all []string
		for i := range 24 {
			all = append(all, fmt.Sprint("t - a i", i))
		}
		_ = w.give(strings.Join(all, "\n"), "24 new")
		for _, o := range []BatchOptions{look, prune} {
			s, err := w.p.EnqueueBatch(w.Context(), "b", textRows("t - a i1 2"), o)
			if count, ok := errors.AsType[*PruneCountError](s.NotPruned); err != nil || sum(s) != "1 conflict 23 missing" || !ok || count.Missing != 23 {
				t.Errorf("%s %+v, %v", sum(s), s, err)
			}
		}
	})
}
