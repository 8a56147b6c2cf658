package control_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/testkit/redistest"
)

func TestLog(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		l := control.NewAuditLog(b.Client, "habilita")
		if got, err := l.Before(t.Context(), "", 10); err != nil || len(got.Items) != 0 || got.Next != "" {
			t.Errorf("of an empty one: %v %v", got, err)
		}
		began := time.Now().Add(-time.Second)
		for i := range 5 {
			e, err := l.Append(t.Context(), control.AuditEntry{Who: "ana", Via: control.ByAPI, Action: "retry", Target: fmt.Sprint(i), Result: "1 chain",
				Outcome: control.Outcome{Ended: control.EndedDone, Count: 1, Of: 7, Unit: control.UnitChain, Pruned: 4, Replaced: 5, Failed: 2, Place: "batch b", Unread: 3}})
			if err != nil {
				t.Fatal(err)
			}
			if e.ID == "" || e.At.Before(began) || e.At.After(time.Now().Add(time.Second)) {
				t.Errorf("%+v", e)
			}
		}
		page, err := l.Before(t.Context(), "", 2)
		got := page.Items
		if err != nil || len(got) != 2 || page.Next != got[1].ID || got[0].Target != "4" || got[1].Target != "3" {
			t.Fatalf("%+v %v", got, err)
		}
		if e := got[0]; e.Who != "ana" || e.Via != "api" || e.Action != "retry" || e.Result != "1 chain" ||
			e.Outcome != (control.Outcome{Ended: control.EndedDone, Count: 1, Of: 7, Unit: control.UnitChain, Pruned: 4, Replaced: 5, Failed: 2, Place: "batch b", Unread: 3}) {
			t.Errorf("%+v", e)
		}
		page, err = l.Before(t.Context(), page.Next, 100)
		if got = page.Items; err != nil || page.Next != "" || len(got) != 3 || got[0].Target != "2" {
			t.Errorf("%+v %v", got, err)
		}
		for _, id := range []string{"x", "1", "1-x", "-1-1", "+", "-", "(1-1"} {
			if _, err := l.Before(t.Context(), id, 1); !errors.Is(err, control.ErrCursor) {
				t.Errorf("%q: %v", id, err)
			}
		}
		long, err := l.Append(t.Context(), control.AuditEntry{Target: strings.Repeat("ñ", 1000) + "\xff"})
		if err != nil {
			t.Fatal(err)
		}
		if page, _ = l.Before(t.Context(), "", 1); page.Items[0].ID != long.ID || len(page.Items[0].Target) != 512 {
			t.Errorf("%d bytes", len(got[0].Target))
		}
	})
}

func TestOldEntriesGo(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		l := control.NewAuditLog(b.Client, "p")
		pipe := b.Client.Pipeline()
		for range control.AuditCapacity + 500 {
			pipe.Do(t.Context(), "XADD", "p:actions", "*", "who", "x")
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(t.Context(), control.AuditEntry{Who: "last"}); err != nil {
			t.Fatal(err)
		}
		n := b.Client.XLen(t.Context(), "p:actions").Val()
		if n < control.AuditCapacity || n > control.AuditCapacity+200 { // whole nodes of the stream go
			t.Errorf("%d entries", n)
		}
	})
}

// People can decide while Redis is full, and their decisions are what empties it.
func TestFullRedis(t *testing.T) {
	s := redistest.Start(t, "--maxmemory", "1", "--maxmemory-policy", "noeviction")
	c := s.Client()
	if err := c.Set(t.Context(), "x", "y", 0).Err(); err == nil {
		t.Fatal("it is not full")
	}
	if _, err := control.NewAuditLog(c, "habilita").Append(t.Context(), control.AuditEntry{Who: "ana"}); err != nil {
		t.Error(err)
	}
}
