package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// A single call that brings more licences signals its bucket: chains of its token that wait for
// tomorrow's quota may run at once.
func TestRaisedLicencesSignal(t *testing.T) {
	m := redistest.Mini(t)
	noon := time.Date(2026, 11, 23, 17, 0, 0, 0, time.UTC)
	m.SetTime(noon)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	p, err := NewProducer(t.Context(), rdb, Options{Keys: testKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	no := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const token = Token("tok")
	tag := ledger.Tag(p.TokenID(token))
	_, err = p.EnqueueBatch(t.Context(), "b", func(yield func(Call, error) bool) {
		yield(Call{Server: "1", Token: token, Chain: "asleep", Licenses: 1}, nil)
	}, BatchOptions{})
	no(err)
	no(m.Set("habilita:{"+tag+"}:used:"+p.TokenID(token)+":20261123", "1000"))
	d, err := p.ledger.DispatchAll(t.Context(), []string{tag}, 1)
	if err != nil || len(d[0].Dispatches) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	s, err := p.ledger.Begin(t.Context(), d[0].Dispatches[0], "nonce", "")
	if err != nil || s.Reason != "quota" {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, c := range []struct {
		licences, signalled int
	}{{1, 0}, {2, 1}} {
		_, err := p.ledger.NextReady(t.Context(), time.Millisecond, 10) // forget what was signalled
		no(err)
		_, err = p.Enqueue(t.Context(), Call{Server: "1", Token: token, Chain: "single", Licenses: c.licences})
		no(err)
		tags, err := p.ledger.NextReady(t.Context(), time.Millisecond, 10)
		tags = slices.DeleteFunc(tags, func(tag string) bool { return tag == ledger.TaskReady })
		if err != nil || len(tags) != c.signalled {
			t.Errorf("with %d licences: %q are signalled, %v", c.licences, tags, err)
		}
	}
}
