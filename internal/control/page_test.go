package control_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"habilita/internal/ledger"

	"habilita/internal/control"
	"habilita/internal/quota"
	"habilita/internal/testkit/redistest"
)

// pages walks a list to its end.
func pages[T any](t *testing.T, next func(cursor string) (control.Page[T], error)) (all []T, n int) {
	t.Helper()
	for cursor := ""; ; n++ {
		p, err := next(cursor)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Items...)
		if cursor = p.Next; cursor == "" {
			return all, n + 1
		}
		if n > 20_000 {
			t.Fatal("the pages have no end")
		}
	}
}

func TestCallsPage(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		op, err := control.Open(b.Client, "", quota.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		l := ledger.New(b.Client, ledger.Options{Admission: ledger.Admission{Library: quota.Library(), Args: func() []any { return nil }}})
		batches := ledger.NewBatches(b.Client, "")
		id := ledger.BatchID("b")
		m, _, err := batches.Ensure(t.Context(), ledger.Batch{ID: id, Name: "b", Created: start})
		if err != nil {
			t.Fatal(err)
		}
		// One bucket whose hash is scanned in many steps, one of one step, many small ones.
		sizes := map[string]int{token("ab"): 3000, token("77"): 400}
		for i := range 100 {
			sizes[token(ledger.TagAt(10*i+7))] = 1 + i%4
		}
		total := 0
		for tok, n := range sizes {
			total += n
			calls := make([]ledger.NewCall, n)
			for i := range calls {
				calls[i] = ledger.NewCall{Token: tok, Server: "0001", Key: ledger.UniqueKey(fmt.Sprint(i)), Ref: fmt.Sprintf("Número %d", i%50), Sealed: "s"}
			}
			if _, err := batches.Note(t.Context(), m, []string{ledger.Tag(tok)}); err != nil {
				t.Fatal(err)
			}
			for part := range slices.Chunk(calls, 100) {
				if _, err := l.Append(t.Context(), ledger.Append{Batch: id, Policy: "hold", Calls: part}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, limit := range []int{90, control.MaxPage} {
			all, n := pages(t, func(cursor string) (control.Page[control.CallRecord], error) {
				p, err := op.CallsPage(t.Context(), "b", control.CallsQuery{Cursor: cursor, Limit: limit})
				if len(p.Items) > limit {
					t.Errorf("limit %d: %d on a page", limit, len(p.Items))
				}
				return p, err
			})
			ids := map[string]bool{}
			for _, c := range all {
				ids[c.ID] = true
			}
			if len(ids) != total || len(all) != total {
				t.Errorf("limit %d: %d calls, %d different, of %d, on %d pages", limit, len(all), len(ids), total, n)
			}
		}
		found, _ := pages(t, func(cursor string) (control.Page[control.CallRecord], error) {
			return op.CallsPage(t.Context(), "b", control.CallsQuery{Cursor: cursor, Limit: 10, Ref: "NÚMERO 49", State: "queued"})
		})
		if len(found) != 3000/50+400/50 {
			t.Errorf("%d found", len(found))
		}
		p, err := op.CallsPage(t.Context(), "b", control.CallsQuery{Limit: 10, State: "failed"})
		if err != nil || len(p.Items) != 0 || p.Next != "" {
			t.Errorf("%+v %v", p, err)
		}
		var unknown *control.UnknownError
		if _, err := op.CallsPage(t.Context(), "none", control.CallsQuery{}); !errors.As(err, &unknown) {
			t.Error(err)
		}
	})
}

func TestCursorsThatAreNone(t *testing.T) {
	w := newWorld(t)
	w.enqueue("b", "0001", token("ab"), "", 3)
	first, err := w.op.CallsPage(w.ctx, "b", control.CallsQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	list, _ := base64.RawURLEncoding.DecodeString(first.Next) // its digest, with a place
	raw := func(place string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(string(list[:6]) + place))
	}
	for _, c := range []string{"x", "%", raw(""), raw("1"), raw("1:2"), raw("-1:0:"), raw("1024:0:"),
		raw("1:-1:x"), first.Next[1:], first.Next[8:], raw("1:99999999999999999999:"), raw("1:1:x") + "=", string(make([]byte, 5000))} {
		if _, err := w.op.CallsPage(w.ctx, "b", control.CallsQuery{Cursor: c}); !errors.Is(err, control.ErrCursor) {
			t.Errorf("calls, %q: %v", c, err)
		}
		for name, list := range map[string]func() error{
			"batches": func() error { _, err := w.op.BatchesPage(w.ctx, c, 1); return err },
			"chains":  func() error { _, err := w.op.ChainsPage(w.ctx, false, c, 1); return err },
			"tokens":  func() error { _, err := w.op.QuotaPage(w.ctx, c, 1); return err },
		} {
			if err := list(); !errors.Is(err, control.ErrCursor) {
				t.Errorf("%s, %q: %v", name, c, err)
			}
		}
	}
	// A place that does not exist is not an error.
	for _, c := range []string{raw("1023:0:zzz"), raw("3:7777:\xff\x00")} {
		if _, err := w.op.CallsPage(w.ctx, "b", control.CallsQuery{Cursor: c}); err != nil {
			t.Errorf("%q: %v", c, err)
		}
	}
}

// A cursor is of one list with its filters: in another it would skip what that one has before its place.
func TestCursorOfAnotherList(t *testing.T) {
	w := newWorld(t)
	cursors := map[string]string{}
	lists := map[string]func(cursor string) (string, error){}
	add := func(name string, list func(cursor string) (string, error)) { lists[name] = list }
	for i, name := range []string{"c1", "c2"} {
		w.enqueue(name, "0001", token(fmt.Sprint("a", 2+i)), "", 3)
	}
	for name, q := range map[string]control.CallsQuery{"c1": {}, "c1 queued": {State: "queued"}, "c1 o": {Ref: "o"}, "c2": {}} {
		add("calls of "+name, func(cursor string) (string, error) {
			q.Cursor, q.Limit = cursor, 1
			p, err := w.op.CallsPage(w.ctx, name[:2], q)
			return p.Next, err
		})
	}
	add("batches", func(cursor string) (string, error) { p, err := w.op.BatchesPage(w.ctx, cursor, 1); return p.Next, err })
	add("chains", func(cursor string) (string, error) {
		p, err := w.op.ChainsPage(w.ctx, false, cursor, 1)
		return p.Next, err
	})
	add("held chains", func(cursor string) (string, error) {
		p, err := w.op.ChainsPage(w.ctx, true, cursor, 1)
		return p.Next, err
	})
	add("tokens", func(cursor string) (string, error) { p, err := w.op.QuotaPage(w.ctx, cursor, 1); return p.Next, err })
	for name, list := range lists {
		next, err := list("")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		cursors[name] = next
	}
	for of, cursor := range cursors {
		if cursor == "" {
			if of != "held chains" && of != "calls of c1 o" {
				t.Errorf("%s have one page", of)
			}
			continue
		}
		for name, list := range lists {
			if _, err := list(cursor); name == of && err != nil || name != of && !errors.Is(err, control.ErrCursor) {
				t.Errorf("%s with a cursor of %s: %v", name, of, err)
			}
		}
	}
}

func TestBatchesPage(t *testing.T) {
	w := newWorld(t)
	var want []string
	for i := range 25 {
		name := fmt.Sprint("batch ", i)
		created := start.Add(time.Duration(i/3) * time.Second) // some of one moment
		if _, _, err := w.batches.Ensure(w.ctx, ledger.Batch{ID: ledger.BatchID(name), Name: name, Created: created}); err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
	}
	for _, limit := range []int{1, 4, 25, 100} {
		all, _ := pages(t, func(cursor string) (control.Page[control.Status], error) {
			return w.op.BatchesPage(w.ctx, cursor, limit)
		})
		var got []string
		last := time.Time{}
		for _, s := range all {
			if !last.IsZero() && s.CreatedAt.After(last) {
				t.Errorf("limit %d: not the newest first", limit)
			}
			last = s.CreatedAt.Time
			got = append(got, s.Batch)
		}
		slices.Sort(got)
		sorted := slices.Sorted(slices.Values(want))
		if !slices.Equal(got, sorted) {
			t.Errorf("limit %d: %q", limit, got)
		}
	}
}

func TestChainsAndQuotaPages(t *testing.T) {
	w := newWorld(t)
	for _, tok := range []string{"ab", "ac", "7z"} {
		for i := range 5 {
			w.enqueue("b", "0001", token(tok+fmt.Sprint(2+i)), "", 2)
		}
		w.enqueue("b", "0001", token(tok+"2"), "other", 1)
	}
	held := token("qq")
	w.enqueue("b", "0001", held, "", 2)
	w.attempt(held, giveUp)
	for _, limit := range []int{1, 4, 100} {
		all, _ := pages(t, func(cursor string) (control.Page[control.Chain], error) {
			return w.op.ChainsPage(w.ctx, false, cursor, limit)
		})
		ids := map[string]bool{}
		for _, c := range all {
			ids[c.ID] = true
		}
		if len(all) != 19 || len(ids) != 19 {
			t.Errorf("limit %d: %d chains, %d different", limit, len(all), len(ids))
		}
		rows, _ := pages(t, func(cursor string) (control.Page[control.QuotaRow], error) {
			return w.op.QuotaPage(w.ctx, cursor, limit)
		})
		if len(rows) != 16 {
			t.Errorf("limit %d: %d tokens", limit, len(rows))
		}
		only, _ := pages(t, func(cursor string) (control.Page[control.Chain], error) {
			return w.op.ChainsPage(w.ctx, true, cursor, limit)
		})
		if len(only) != 1 || only[0].ID != held || !only[0].Held() {
			t.Errorf("limit %d: held %+v", limit, only)
		}
	}
	if c, err := w.op.Chain(w.ctx, held); err != nil || !c.Held() || c.Behind != 1 {
		t.Errorf("%+v %v", c, err)
	}
	var unknown *control.UnknownError
	if _, err := w.op.Chain(w.ctx, token("zz")); !errors.As(err, &unknown) {
		t.Error(err)
	}
	if _, err := w.op.Chain(w.ctx, "no chain"); !errors.Is(err, control.ErrChainID) {
		t.Error(err)
	}
}
