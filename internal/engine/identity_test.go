package engine

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/seen"
	"habilita/internal/vault"
)

var errBadRow = errors.New("a bad row")

var (
	made    = ledger.Outcome{Kind: ledger.Done, Slot: ledger.Release, Code: "202"}
	givenUp = ledger.Outcome{Kind: ledger.GiveUp, Slot: ledger.Release, Code: "403", Err: "refused"}
	failed  = ledger.Outcome{Kind: ledger.Fail, Slot: ledger.Release, Code: "500"}
)

// TestRowsAreKnownByWhatTheySay: a file is given, and another one under the same name.
func TestRowsAreKnownByWhatTheySay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ first, then, want string }{
		"the same":                     {"t - a\nt - b", "t - a\nt - b", "2 waiting"},
		"another order":                {"t - a\nt - b\nu - a", "u - a\nt - b\nt - a", "3 waiting"},
		"one between":                  {"t - a\nt - c", "t - a\nt - b\nt - c", "1 new 2 waiting 1 disordered"},
		"one behind":                   {"t - a\nt - c", "t - a\nt - c\nt - d", "1 new 2 waiting"},
		"equal rows":                   {"t - a\nt - a", "t - a\nt - a\nt - a", "1 new 2 waiting"},
		"fewer equal rows":             {"t\nt\nt", "t\nt", "2 waiting 1 missing"},
		"another server":               {"t - a", "t - a - 2", "1 new 1 missing"},
		"the same server":              {"t - a - 42", "t - a - wv0042.wolkvox.com", "1 waiting"},
		"another chain":                {"t - a", "t x a", "1 new 1 missing"},
		"it gets an id":                {"t - a", "t - a i", "1 new 1 missing"},
		"an id keeps it":               {"t - a i", "t - other i", "1 waiting"},
		"an id of another token":       {"t - a i", "u - a i", "1 new 1 missing"},
		"a wrong token, corrected":     {"t\nwrong\nv", "t\nu\nv", "1 new 2 waiting 1 missing"},
		"an id for another server":     {"t - a i", "t - a i 2", "1 conflict"},
		"an id in another chain":       {"t - a i\nt x b", "t y a i\nt y c\nt x b", "1 waiting 1 conflict 1 withheld"},
		"an id twice":                  {"t - a", "t - a\nt - b i\nt - c i\nt - d\nu - c i", "2 new 1 waiting 1 conflict 1 withheld"},
		"equal rows with one id":       {"t - a", "t - a\nt - b i\nt - b i", "1 new 1 waiting 1 conflict"},
		"a row is rejected":            {"t - a", "t - a\n!t - b\nt - c\nt x d\nu - e", "2 new 1 waiting 1 rejected 1 withheld"},
		"its chain can't be told":      {"t - a", "t - a\n!t ? b\nt - c\nt x d\nu - e", "1 new 1 waiting 1 rejected 2 withheld"},
		"its token can't be told":      {"t - a", "t - a\n!- - b\nt - c", "1 new 1 waiting 1 rejected 1 unplaced"},
		"what is known is not blocked": {"t - a\nt - c", "!t - b\nt - a\nt - c\nt - d", "2 waiting 1 rejected 1 withheld"},
	} {
		t.Run(name, func(t *testing.T) {
			identity(t, func(w *identityWorld) {
				_ = w.give(c.first, fmt.Sprint(strings.Count(c.first, "\n")+1, " new"))
				_ = w.give(c.then, c.want)
			})
		})
	}
}

func TestSkipWithholdsNothing(t *testing.T) {
	identity(t, func(w *identityWorld) {
		_ = w.give("t - a\n!t - b\nt - c\nt - d i\nt - e i\nt - f", "4 new 1 conflict 1 rejected", BatchOptions{Policy: "skip"})
		w.order("t", "", "acdf")
	})
}

// The error of a conflict names both places and what differs. The conflict blocks only what stands behind it.
func TestConflictIsTold(t *testing.T) {
	identity(t, func(w *identityWorld) {
		_ = w.give("t - a i\nt x b", "2 new")
		left := w.give("t - z\nt x a i 2\nt x c\nt x d\nt - e\nt - f j\nt - g j", "3 new 2 conflict 2 withheld 1 missing")
		var known, twice *ConflictError
		for _, err := range left {
			var c *ConflictError
			if errors.As(err, &c) && c.First > 0 {
				twice = c
			} else if c != nil {
				known = c
			}
		}
		if known == nil || known.ID != "i" || known.Row != 3 || known.Known != 2 || !known.Unsent || known.Source != 1 || !strings.Contains(known.Error(), "never sent: prune replaces it") ||
			!slices.Equal(known.Differs, []string{"server", "chain"}) || !slices.Equal(known.Have, []string{"0001", ""}) || !slices.Equal(known.Want, []string{"0002", "x"}) {
			w.Errorf("%+v", known)
		}
		if twice == nil || twice.ID != "j" || twice.Row != 8 || twice.First != 7 {
			w.Errorf("%+v", twice)
		}
		// A single call that differs is refused, one that says the same is known.
		var refused *ConflictError
		if _, err := w.p.Enqueue(w.Context(), Call{Server: "2", Token: "t", ID: "i", Batch: "b"}); !errors.As(err, &refused) || refused.Known != 2 {
			w.Error(err)
		}
		if got, err := w.p.Enqueue(w.Context(), Call{Server: "1", Token: "t", ID: "i", Batch: "b"}); err != nil || !got.Duplicate {
			w.Errorf("%+v, %v", got, err)
		}
	})
}

// A batch is not settled while somebody fills it, whatever its counts say. A run that died lapses.
func TestBatchIsFilled(t *testing.T) {
	identity(t, func(w *identityWorld) {
		_, err := w.p.EnqueueBatch(t.Context(), "b", func(yield func(Call, error) bool) {
			if !yield(Call{Server: "1", Token: "t"}, nil) {
				return
			}
			if s := w.status(); s.Settled || s.Complete || !s.Filling {
				t.Errorf("while it comes in: %+v", s)
			}
		}, BatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w.attempt("t", "", made)
		if s := w.status(); !s.Settled || !s.Complete || s.Filling {
			t.Errorf("%+v", s)
		}
		if ok, err := w.p.batches.Lease(t.Context(), ledger.BeginRun, ledger.BatchID("b"), "dies"); !ok || err != nil {
			t.Fatal(err)
		}
		if s := w.status(); s.Settled {
			t.Errorf("%+v", s)
		}
		if w.b.Mini != nil {
			w.b.Mini.FastForward(ledger.RunLease)
			if s := w.status(); !s.Settled {
				t.Errorf("after its lease: %+v", s)
			}
		}
		_ = w.give("t\n!u", "1 made 1 rejected")
		if s := w.status(); s.Complete {
			t.Errorf("%+v", s)
		}
	})
}

func TestRefusedAsAWhole(t *testing.T) {
	identity(t, func(w *identityWorld) {
		for _, opts := range []BatchOptions{{}, {Canary: 1}, {Strict: true}, {Prune: true}} {
			_, err := w.p.EnqueueBatch(t.Context(), "b", func(yield func(Call, error) bool) { yield(Call{}, errBroken) }, opts)
			if !errors.Is(err, errBroken) {
				t.Error(err)
			}
			if _, err := w.op.Status(t.Context(), "b"); !errors.Is(err, ledger.ErrNoBatch) {
				t.Errorf("it left a batch: %v", err)
			}
		}
		if s, err := w.p.EnqueueBatch(t.Context(), "b", func(func(Call, error) bool) {}, BatchOptions{}); err != nil || s.Rows != 0 {
			t.Errorf("a sequence without a call: %+v, %v", s, err)
		}
		if keys := w.b.Client.Keys(t.Context(), "habilita:batch*").Val(); len(keys) > 0 {
			t.Errorf("it left %v", keys)
		}
		_ = w.give("!t", "1 rejected")
		// A batch that has no calls takes any policy.
		_ = w.give("t - a", "1 new", BatchOptions{Policy: "skip"})
		if _, err := w.p.EnqueueBatch(t.Context(), "b", textRows("t - a"), BatchOptions{}); !errors.Is(err, ledger.BatchPolicy) {
			t.Error(err)
		}
	})
}

func TestStrictEnqueuesAllOrNothing(t *testing.T) {
	identity(t, func(w *identityWorld) {
		var strict *StrictError
		told := 0
		_, err := w.p.EnqueueBatch(t.Context(), "b", textRows("t - a\n!t - b\nu - c i\nu - d i"), BatchOptions{Strict: true, OnReject: func(error) error { told++; return nil }, OnLeftOut: func(error) error { told++; return nil }})
		if !errors.As(err, &strict) || strict.Rejected != 1 || strict.Conflicts != 1 || told != 2 {
			t.Errorf("%v, %d told", err, told)
		}
		if _, err := w.op.Status(t.Context(), "b"); !errors.Is(err, ledger.ErrNoBatch) {
			t.Error(err)
		}
		_ = w.give("t - a\nt - b", "2 new", BatchOptions{Strict: true})
	})
}

func TestLookChangesNothing(t *testing.T) {
	identity(t, func(w *identityWorld) {
		_ = w.give("t - a i\nt - b\nu - c", "3 new")
		dump := func() string {
			keys := w.b.Client.Keys(t.Context(), "*").Val()
			slices.Sort(keys)
			var all []string
			for _, k := range keys {
				all = append(all, k+" "+w.b.Client.Dump(t.Context(), k).Val())
			}
			return strings.Join(all, "\n")
		}
		before := dump()
		_ = w.give("t - a i 2\nt - b\n!t - x\nt - d\nv - e", "1 new 1 waiting 1 conflict 1 rejected 1 withheld 1 missing", BatchOptions{Look: true})
		_ = w.give("t - a i 2\nt - b\nt - d\nv - e", "3 new 1 waiting 1 missing 1 replaced", BatchOptions{Look: true, Prune: true})
		if after := dump(); after != before && w.b.Mini == nil {
			t.Error("it changed something")
		}
		s, err := Preview(t.Context(), "b", textRows("t - a i\nt - b\n!t - x\nt - d\nv - e\nv - f i\nv - f i"), BatchOptions{OnReject: func(error) error { return nil }})
		if err != nil || sum(s) != "4 new 1 conflict 1 rejected 1 withheld" {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// A part of a file can't tell whether an equal row is another one.
func TestPartOfAFile(t *testing.T) {
	identity(t, func(w *identityWorld) {
		_ = w.give("t - a\nt - b i", "2 new")
		part := BatchOptions{PartIf: func() bool { return true }}
		left := w.give("t - a\nt - c\nt - b i\nu - a", "1 new 1 waiting 1 rejected 1 withheld", part)
		var twin *TwinError
		if len(left) != 2 || !errors.As(left[0], &twin) || twin.Row != 2 {
			t.Errorf("%v", left)
		}
		part.Prune = true
		if _, err := w.p.EnqueueBatch(t.Context(), "b", textRows("t - a"), part); !errors.Is(err, ErrPart) {
			t.Error(err)
		}
	})
}

// A batch of an older version that numbered its rows takes no more rows. One that has only ids does.
func TestBatchOfAnOlderVersion(t *testing.T) {
	identity(t, func(w *identityWorld) {
		older := func() {
			if err := w.b.Client.HDel(t.Context(), "habilita:batch:"+ledger.BatchID("b"), "keys").Err(); err != nil {
				t.Fatal(err)
			}
		}
		_ = w.give("t - a i", "1 new")
		older()
		_ = w.give("t - a i\nt - b", "1 new 1 waiting")
		n := w.p.prepare(&Call{Token: "t", Server: "0001"})
		n.Key = ledger.UniqueKey("0")
		if _, err := w.p.ledger.Append(t.Context(), ledger.Append{Batch: ledger.BatchID("b"), Policy: "hold", Calls: []ledger.NewCall{n}}); err != nil {
			t.Fatal(err)
		}
		older()
		if _, err := w.p.EnqueueBatch(t.Context(), "b", textRows("t - a i"), BatchOptions{}); !errors.Is(err, ledger.BatchOld) {
			t.Error(err)
		}
		w.attempt("t", "", made) // it goes on to its end
	})
}

// A batch that is cancelled during an upload takes none of the later rows.
func TestCancelInMidUpload(t *testing.T) {
	identity(t, func(w *identityWorld) {
		const rows = 3 * perGroup * ledger.Buckets / 16
		s, err := w.p.EnqueueBatch(t.Context(), "b", func(yield func(Call, error) bool) {
			for i := range rows {
				if i == rows/2 {
					if _, err := w.op.Cancel(t.Context(), control.Selection{Batch: "b"}); err != nil {
						t.Error(err)
					}
				}
				if !yield(Call{Server: "1", Token: Token(fmt.Sprint("token-", i%5)), Ref: fmt.Sprint(i)}, nil) {
					return
				}
			}
		}, BatchOptions{})
		st := w.status()
		if !errors.Is(err, ledger.BatchCancelled) || s.Enqueued > rows/2 || st.Open != 0 || st.Cancelled != st.Total || st.Total < s.Enqueued {
			t.Errorf("%+v, %v; %+v", s, err, st)
		}
	})
}

// EnqueueBatch notices a sequence that gives other calls the second time.
func TestEditBetweenTwoReadingsIsSeen(t *testing.T) {
	identity(t, func(w *identityWorld) {
		for _, edited := range []bool{false, true} {
			reads := 0
			calls := func(yield func(Call, error) bool) {
				reads++
				text := "t - a\nu - b"
				if edited && reads == 2 {
					text = "t - a\nu - c"
				}
				textRows(text)(yield)
			}
			s, err := w.p.EnqueueBatch(t.Context(), fmt.Sprint("b", edited), calls, BatchOptions{Prune: true})
			if err != nil || reads != 2 || s.Edited != edited || s.Enqueued != 2 {
				t.Errorf("%+v, %v after %d readings", s, err, reads)
			}
		}
	})
}

// A file's name belongs to one file.
func TestBatchBearsTheNameOfOneFile(t *testing.T) {
	identity(t, func(w *identityWorld) {
		_ = w.give("t - a", "1 new", BatchOptions{Path: "/a/b.csv"})
		_ = w.give("t - a", "1 waiting", BatchOptions{Path: "/a/b.csv"})
		_ = w.give("t - a", "1 waiting") // a name that was given
		var other *ledger.BatchError
		if _, err := w.p.EnqueueBatch(t.Context(), "b", textRows("t - a"), BatchOptions{Path: "/b.csv"}); !errors.As(err, &other) || other.Have != "/a/b.csv" {
			t.Error(err)
		}
	})
}

func TestRunsOfOneBatchAtOnce(t *testing.T) {
	identity(t, func(w *identityWorld) {
		errs := make(chan error)
		total := make(chan int)
		for range 3 {
			go func() {
				s, err := w.p.EnqueueBatch(t.Context(), "b", func(yield func(Call, error) bool) {
					for i := range 500 {
						if !yield(Call{Server: "1", Token: Token(fmt.Sprint("token-", i%7)), Ref: fmt.Sprint(i % 50)}, nil) {
							return
						}
					}
				}, BatchOptions{})
				total <- s.Enqueued
				errs <- err
			}()
		}
		n := 0
		for range 3 {
			n += <-total
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if st := w.status(); n != 500 || st.Total != 500 || st.Filling {
			t.Errorf("%d new, %+v", n, st)
		}
	})
}

// kept are the bytes that the run holds for the rows that it has read, apart from what is under way.
func (b *batchRun) kept() int {
	b.marks.mu.Lock()
	defer b.marks.mu.Unlock()
	return bytesOf(&b.rows.table) + bytesOf(&b.marks.table)
}

// bytesOf is the most bytes that a table with so many hashes takes: while a shard grows, its old form and its new one are
// there.
func bytesOf(t *seen.Table) int {
	shards := reflect.ValueOf(t).Elem().FieldByName("shards")
	sum, largest := int(shards.Type().Size()), 0
	for i := range shards.Len() {
		s := shards.Index(i)
		own := 0
		for _, list := range []string{"hashes", "values"} {
			own += s.FieldByName(list).Cap() * int(s.FieldByName(list).Type().Elem().Size())
		}
		sum, largest = sum+own, max(largest, own)
	}
	return sum + largest
}

// What a producer keeps for each row that it has read, growth included: with and without ids,
// with one row for each token and with several.
func TestProducerKeepsFewBytesForARow(t *testing.T) {
	const rows, from, each, limit = 60_000, 20_000, 200, 40
	for _, c := range []struct {
		perToken int
		ids      bool
	}{{1, false}, {1, true}, {10, false}, {10, true}} {
		t.Run(fmt.Sprint(c.perToken, " for each token, ids ", c.ids), func(t *testing.T) {
			var b *batchRun
			peak := 0.0
			job := previewJob(vault.NewTokenIDs(make([]byte, 32)), "b", func(yield func(Call, error) bool) {
				for i := range rows {
					if i >= from && i%each == 0 {
						peak = max(peak, float64(b.kept())/float64(i))
					}
					call := Call{Server: "1", Token: Token(fmt.Sprint("token-", i/c.perToken)), Ref: fmt.Sprint(i % c.perToken)}
					if c.ids {
						call.ID = fmt.Sprint("id-", i)
					}
					if !yield(call, nil) {
						return
					}
				}
			}, BatchOptions{})
			b = job.run()
			if err := b.do(t.Context()); err != nil || b.sum.Enqueued != rows {
				t.Errorf("%+v, %v", b.sum, err)
			}
			t.Logf("%.1f bytes for each row", peak)
			if peak > limit {
				t.Errorf("%.1f bytes for each row, the limit is %d", peak, limit)
			}
		})
	}
}

// A row that Known knows is not new, so it is not out of the file's order either.
func TestRowsThatAreKnownElsewhereAreInOrder(t *testing.T) {
	identity(t, func(w *identityWorld) {
		_ = w.give("t - c", "1 new")
		_ = w.give("t - a\nt - b\nt - c", "2 made 1 waiting", BatchOptions{Known: func(string) ledger.Landing { return ledger.Made }})
	})
}

// Policy cancel drops the later rows of the run in which a row fails. A corrected row of a later run is made.
func TestCorrectedRowIsMadeAfterItsChainWasDropped(t *testing.T) {
	identity(t, func(w *identityWorld) {
		o := BatchOptions{Policy: ledger.PolicyCancel}
		_ = w.give("t - a - 9\nt - b", "2 new", o)
		w.attempt("t", "", givenUp)
		_ = w.give("t - a\nt - b", "1 new 1 ended", o)
		w.order("t", "", "a")
		w.attempt("t", "", made)
		if s := w.status(); s.Total != 3 || s.Succeeded != 1 || s.Failed != 1 || s.Cancelled != 1 {
			t.Errorf("%+v", s)
		}
	})
}
