package ledger

import (
	"errors"
	"testing"
	"time"
)

// pass lets the time pass in which calls may be appended.
func (s *Batches) pass(t *testing.T, id string) {
	t.Helper()
	if err := s.rdb.HSet(t.Context(), s.metaKey(id), "until", time.Now().Add(-time.Hour).UnixMilli()).Err(); err != nil {
		t.Fatal(err)
	}
}

// A batch that is in use is not deleted, whenever its use begins.
func TestDelete(t *testing.T) {
	idle := func(*testing.T, *Batches, Batch) {}
	for name, c := range map[string]struct {
		before, after func(*testing.T, *Batches, Batch) // MayPurge was asked
		may, gone     bool
	}{
		"idle":                     {idle, idle, true, true},
		"noted just now":           {note, idle, false, false},
		"noted long ago":           {noteOld, idle, true, true},
		"noted since":              {idle, note, true, false},
		"noted since, long ago":    {idle, noteOld, true, false},
		"noted again, long ago":    {noteOld, func(t *testing.T, s *Batches, m Batch) { note(t, s, m); s.later(t, m.ID) }, true, false},
		"a run lives":              {begin, idle, false, false},
		"a run has begun":          {idle, begin, true, false},
		"a run has begun and gone": {idle, func(t *testing.T, s *Batches, m Batch) { begin(t, s, m); end(t, s, m) }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			store(t, func(t *testing.T, s *Batches) {
				m := ensured(t, s, Batch{ID: "x", Name: "x", Policy: PolicySkip, Created: time.UnixMilli(1)})
				c.before(t, s, m)
				mark, may, err := s.MayPurge(t.Context(), "x")
				if err != nil || may != c.may {
					t.Fatalf("may be purged: %v, %v", may, err)
				}
				if !may {
					return
				}
				c.after(t, s, m)
				if gone, err := s.Delete(t.Context(), m, mark); err != nil || gone != c.gone {
					t.Fatalf("gone: %v, %v", gone, err)
				}
				all, err := s.List(t.Context())
				if err != nil || (len(all) == 0) != c.gone {
					t.Errorf("listed: %v, %v", all, err)
				}
				if !c.gone {
					return
				}
				if keys := s.rdb.Keys(t.Context(), "*").Val(); len(keys) != 0 {
					t.Errorf("left: %v", keys)
				}
				ensured(t, s, Batch{ID: "x", Name: "x", Policy: PolicyHold, Created: time.UnixMilli(2)}) // the name is free again
			})
		})
	}
}

func note(t *testing.T, s *Batches, m Batch) {
	t.Helper()
	if _, err := s.Note(t.Context(), m, []string{TagAt(3)}); err != nil {
		t.Fatal(err)
	}
}

func noteOld(t *testing.T, s *Batches, m Batch) {
	t.Helper()
	note(t, s, m)
	s.pass(t, m.ID)
}

// later lets the time pass in another way than pass, so that the mark changes.
func (s *Batches) later(t *testing.T, id string) {
	t.Helper()
	if err := s.rdb.HSet(t.Context(), s.metaKey(id), "until", time.Now().Add(-time.Hour+time.Minute).UnixMilli()).Err(); err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, s *Batches, m Batch) {
	t.Helper()
	if ok, err := s.Lease(t.Context(), BeginRun, m.ID, "r"); !ok || err != nil {
		t.Fatal(ok, err)
	}
}

func end(t *testing.T, s *Batches, m Batch) {
	t.Helper()
	if _, err := s.Lease(t.Context(), EndRun, m.ID, "r"); err != nil {
		t.Fatal(err)
	}
}

// A process that saw a batch before it was deleted, or made anew, notes nothing in it, and does
// not make it again.
func TestGoneStaysSo(t *testing.T) {
	store(t, func(t *testing.T, s *Batches) {
		ctx := t.Context()
		gone := Batch{ID: "x", Name: "x", Created: time.UnixMilli(1)}
		nothing := func() {
			t.Helper()
			if _, err := s.Note(ctx, gone, []string{TagAt(3)}); !errors.Is(err, ErrNoBatch) {
				t.Errorf("noted: %v", err)
			}
			if b, err := s.Tags(ctx, "x"); len(b) > 0 || err != nil {
				t.Errorf("buckets %v, %v", b, err)
			}
		}
		nothing()
		if err := errors.Join(s.Cancel(ctx, "x"), s.Release(ctx, "x"), s.SetPolicy(ctx, "x", PolicySkip), s.SetContent(ctx, Batch{ID: "x"})); err != nil {
			t.Fatal(err)
		}
		if keys := s.rdb.Keys(ctx, "*").Val(); len(keys) != 0 {
			t.Errorf("left: %v", keys)
		}
		m := ensured(t, s, Batch{ID: "x", Name: "x", Created: time.UnixMilli(2)})
		nothing()
		if err := s.Cancel(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Note(ctx, m, []string{TagAt(3)}); !errors.Is(err, BatchCancelled) {
			t.Errorf("a cancelled one: %v", err)
		}
	})
}

// A delete that was cut off, and a batch that was made anew between its steps: the list has
// what is there.
func TestTidy(t *testing.T) {
	store(t, func(t *testing.T, s *Batches) {
		ctx := t.Context()
		old := ensured(t, s, Batch{ID: "old", Name: "old", Created: time.UnixMilli(1)})
		ensured(t, s, Batch{ID: "kept", Name: "kept", Created: time.UnixMilli(1)})
		if mark, err := s.delete(ctx, "old", ""); err != nil || mark == "" {
			t.Fatal(mark, err)
		} else if done, err := s.delete(ctx, "old", mark); err != nil || done == "" {
			t.Fatal(done, err)
		}
		tidy := func(before int64, want int64) {
			t.Helper()
			if err := s.Tidy(ctx, time.UnixMilli(before)); err != nil {
				t.Fatal(err)
			}
			if n := s.rdb.ZCard(ctx, s.listKey()).Val(); n != want {
				t.Errorf("%d are listed, want %d", n, want)
			}
		}
		tidy(0, 2)
		tidy(5, 1)
		ensured(t, s, Batch{ID: "old", Name: "old", Created: time.UnixMilli(9)})
		if err := s.forget(ctx, "old", entry(old).Score); err != nil {
			t.Fatal(err)
		}
		tidy(10, 2)
	})
}
