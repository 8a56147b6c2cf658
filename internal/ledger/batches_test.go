package ledger

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

func TestParsePolicy(t *testing.T) {
	for text, want := range map[string]Policy{"": PolicyHold, "hold": PolicyHold, "skip": PolicySkip, "cancel": PolicyCancel} {
		if p, err := ParsePolicy(text); p != want || err != nil {
			t.Errorf("ParsePolicy(%q) = %q, %v", text, p, err)
		}
	}
	if _, err := ParsePolicy("Hold"); err == nil || !strings.Contains(err.Error(), `"Hold"`) {
		t.Errorf("ParsePolicy(Hold): %v", err)
	}
}

func store(t *testing.T, f func(t *testing.T, s *Batches)) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) { f(t, NewBatches(b.Client, "")) })
}

func TestEnsure(t *testing.T) {
	store(t, func(t *testing.T, s *Batches) {
		first := time.UnixMilli(1_700_000_000_123)
		if _, err := s.Get(t.Context(), "id1"); !errors.Is(err, ErrNoBatch) {
			t.Errorf("a batch that is not: %v", err)
		}
		want := Batch{ID: "id1", Name: "one", Policy: PolicyHold, Created: first, Content: true}
		for _, m := range []Batch{
			{ID: "id1", Name: "one", Created: first},
			{ID: "id1", Name: "one", Policy: PolicyHold, Created: first.Add(time.Hour)},
		} {
			if have, _, err := s.Ensure(t.Context(), m); err != nil || have != want {
				t.Errorf("Ensure = %+v, %v", have, err)
			}
		}
		var refused *BatchError
		other := Batch{ID: "id1", Name: "one", Policy: PolicySkip, Created: first}
		have, _, err := s.Ensure(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		if err := have.Takes(other); !errors.As(err, &refused) {
			t.Fatalf("another policy: %v", err)
		} else if refused.Have != "hold" || refused.Want != "skip" || !strings.Contains(err.Error(), "with on-failure hold") {
			t.Errorf("%+v: %v", refused, err)
		}
		if _, _, err := s.Ensure(t.Context(), Batch{ID: "id1", Name: "other", Created: first}); err == nil {
			t.Error("another name was taken for the same batch")
		}
		if have, err := s.Get(t.Context(), "id1"); err != nil || have != want {
			t.Errorf("Get = %+v, %v", have, err)
		}
	})
}

func TestEnsureTogether(t *testing.T) {
	store(t, func(t *testing.T, s *Batches) {
		var wg sync.WaitGroup
		created := make([]time.Time, 8)
		wins := make([]bool, 8)
		for i := range created {
			wg.Go(func() {
				mine := Batch{ID: "x", Name: "x", Policy: []Policy{PolicyHold, PolicySkip}[i%2], Created: time.UnixMilli(int64(1000 + i))}
				m, _, err := s.Ensure(t.Context(), mine)
				created[i], wins[i] = m.Created, err == nil && m.Takes(mine) == nil
			})
		}
		wg.Wait()
		for i := range created {
			if created[i] != created[0] || wins[i] != wins[i%2] || wins[0] == wins[1] {
				t.Fatalf("created %v, wins %v", created, wins)
			}
		}
	})
}

func TestListNewestFirst(t *testing.T) {
	store(t, func(t *testing.T, s *Batches) {
		const n = 1200 // more than one part
		for i := range n {
			id := fmt.Sprint("id", i)
			if _, _, err := s.Ensure(t.Context(), Batch{ID: id, Name: id, Created: time.UnixMilli(int64(i + 1))}); err != nil {
				t.Fatal(err)
			}
		}
		// A batch whose creation or deletion was cut off is not shown.
		if err := s.rdb.Del(t.Context(), s.metaKey("id7")).Err(); err != nil {
			t.Fatal(err)
		}
		all, err := s.List(t.Context())
		if err != nil || len(all) != n-1 || all[0].ID != "id1199" || all[n-2].ID != "id0" {
			t.Fatalf("%d batches: %v", len(all), err)
		}
	})
}

func ensured(t *testing.T, s *Batches, m Batch) Batch {
	t.Helper()
	m, _, err := s.Ensure(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBuckets(t *testing.T) {
	store(t, func(t *testing.T, s *Batches) {
		if b, err := s.Tags(t.Context(), "x"); len(b) != 0 || err != nil {
			t.Errorf("none noted: %v, %v", b, err)
		}
		m := ensured(t, s, Batch{ID: "x", Name: "x", Created: time.UnixMilli(1)})
		for range 2 {
			if _, err := s.Note(t.Context(), m, []string{TagAt(1023), TagAt(0), TagAt(8), TagAt(7)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Note(t.Context(), m, nil); err != nil {
			t.Errorf("nothing to note: %v", err)
		}
		if b, err := s.Tags(t.Context(), "x"); fmt.Sprint(b) != "[aa ah ai 77]" || err != nil {
			t.Errorf("%v, %v", b, err)
		}
		// Buckets that an older version noted are known too.
		if err := s.rdb.SetBit(t.Context(), s.oldBucketsKey("x"), 5, 1).Err(); err != nil {
			t.Fatal(err)
		}
		if b, err := s.Tags(t.Context(), "x"); fmt.Sprint(b) != "[aa af ah ai 77]" || err != nil {
			t.Errorf("%v, %v", b, err)
		}
	})
}

// The old list of a batch's buckets may be on another node than the batch. Once a batch of an older
// version was taken over, that node may be away.
func TestTheOldListOfBucketsIsAway(t *testing.T) {
	store(t, func(t *testing.T, s *Batches) {
		m := ensured(t, s, Batch{ID: "x", Name: "x", Created: time.UnixMilli(1)})
		m.Content = false
		for _, err := range []error{
			s.rdb.HDel(t.Context(), s.metaKey("x"), "keys").Err(), s.rdb.SetBit(t.Context(), s.oldBucketsKey("x"), 5, 1).Err(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := s.SetContent(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		away := func() {
			if err := errors.Join(s.rdb.Del(t.Context(), s.oldBucketsKey("x")).Err(), s.rdb.HSet(t.Context(), s.oldBucketsKey("x"), "a", "b").Err()); err != nil {
				t.Fatal(err)
			}
		}
		away()
		if b, err := s.Tags(t.Context(), "x"); fmt.Sprint(b) != "[af]" || err != nil {
			t.Errorf("%v, %v", b, err)
		}
		// For a batch that was not taken over, nobody can tell.
		if err := s.rdb.HDel(t.Context(), s.metaKey("x"), "keys").Err(); err != nil {
			t.Fatal(err)
		}
		if b, err := s.Tags(t.Context(), "x"); err == nil {
			t.Errorf("buckets %v are told as all", b)
		}
	})
}

// While Redis is full, a run that lives stays alive, and its end is noted.
func TestRunInFullRedis(t *testing.T) {
	redistest.BothOwn(t, func(t *testing.T, b redistest.Backend) {
		if b.SetTime != nil {
			t.Skip("miniredis is never full")
		}
		ctx, s := t.Context(), NewBatches(b.Client, "")
		ensured(t, s, Batch{ID: "x", Name: "x", Created: time.UnixMilli(1)})
		begin(t, s, Batch{ID: "x"})
		if err := s.Began(ctx, "x", "r"); err != nil {
			t.Fatal(err)
		}
		if err := b.Client.ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
			t.Fatal(err)
		}
		if ok, err := s.Lease(ctx, BeginRun, "x", "other"); ok || !redis.HasErrorPrefix(err, "OOM") {
			t.Errorf("another run began: %v, %v", ok, err)
		}
		if _, err := s.Lease(ctx, RenewRun, "x", "r"); err != nil {
			t.Errorf("renewed: %v", err)
		}
		if ok, err := s.Lease(ctx, RunAlone, "x", "r"); !ok || err != nil {
			t.Errorf("alone: %v, %v", ok, err)
		}
		if err := s.Completed(ctx, "x", "r"); err != nil {
			t.Errorf("completed: %v", err)
		}
		if m, err := s.Get(ctx, "x"); err != nil || !m.Complete || !m.Live {
			t.Errorf("%+v, %v", m, err)
		}
		end(t, s, Batch{ID: "x"})
		if m, err := s.Get(ctx, "x"); err != nil || m.Live {
			t.Errorf("%+v, %v", m, err)
		}
	})
}

// A Redis that is full says so, and not that a transaction was discarded.
func TestEnsureInFullRedis(t *testing.T) {
	redistest.BothOwn(t, func(t *testing.T, b redistest.Backend) {
		if b.SetTime != nil {
			t.Skip("miniredis is never full")
		}
		if err := b.Client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
			t.Fatal(err)
		}
		s := NewBatches(b.Client, "")
		if _, _, err := s.Ensure(t.Context(), Batch{ID: "id", Name: "one", Created: time.UnixMilli(1)}); !redis.HasErrorPrefix(err, "OOM") {
			t.Errorf("%v", err)
		}
	})
}
