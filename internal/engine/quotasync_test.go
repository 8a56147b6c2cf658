package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"habilita/internal/quota"
	"habilita/internal/testkit/redistest"
	"habilita/internal/testkit/wolkvoxtest"
	"habilita/internal/vault"
	"habilita/internal/wolkvox"
)

// A question takes a slot like a call. If both slots are taken, it is not asked. An answer frees
// its slot. An unknown outcome keeps it, so that the vendor never sees a third request.
func TestQuotaSyncKeepsTheSlots(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		ctx := t.Context()
		const secret = "token-of-the-sync"
		var resets atomic.Bool
		v, err := wolkvoxtest.Listen("127.0.0.1:0", wolkvoxtest.Options{Script: func(wolkvoxtest.Record) wolkvoxtest.Fault {
			if resets.Load() {
				return wolkvoxtest.Fault{Kind: wolkvoxtest.ResetAfter}
			}
			return wolkvoxtest.Fault{}
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(v.Close)
		key, err := vault.GenerateKey("k")
		if err != nil {
			t.Fatal(err)
		}
		now, err := b.Client.Time(ctx).Result()
		if err != nil {
			t.Fatal(err)
		}
		// A zone in which it is the middle of a day, so that no lease crosses midnight.
		noon := time.FixedZone("noon", 12*3600-int(now.Unix()%86400))
		o := WorkerOptions{
			Options:  Options{Keys: key, Quota: quota.Settings{Location: noon}},
			RedisURL: b.URL, WolkvoxURL: v.URL,
		}
		p, err := NewProducer(ctx, b.Client, o.Options)
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Enqueue(ctx, Call{Server: "7", Token: secret})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		q, err := OpenQuotaSync(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = q.Close() })
		q.patience = 0
		if at, err := q.Servers(ctx, nil, ""); err != nil || len(at) != 1 || at[r.TokenID] != "0007" {
			t.Fatalf("%v, %v", at, err)
		}
		requests := func(want int) {
			t.Helper()
			got := v.Account().Totals
			if got.Requests != want || got.OverSlots != 0 || got.Refused != 0 {
				t.Fatalf("the vendor saw %+v, want %d requests", got, want)
			}
		}
		held := func(want, used int) {
			t.Helper()
			if u, err := q.limiter.Peek(ctx, r.TokenID); err != nil || u.Held != want || u.Used != used {
				t.Fatalf("%+v, %v; want %d slots held, %d used", u, err, want, used)
			}
		}
		for i := range 3 {
			if s, err := q.Sync(ctx, r.TokenID, "0007"); err != nil || s.VendorUsed != i+1 || s.Difference != 0 || s.After != i+1 {
				t.Fatalf("%+v, %v", s, err)
			}
		}
		requests(3)
		held(0, 3)

		resets.Store(true)
		for i := range 2 {
			var unknown *wolkvox.UnknownOutcomeError
			if _, err := q.Sync(ctx, r.TokenID, "0007"); !errors.As(err, &unknown) {
				t.Fatal(err)
			}
			held(i+1, 4+i)
		}
		requests(5)
		var not *NotAskedError
		if _, err := q.Sync(ctx, r.TokenID, "0007"); !errors.As(err, &not) {
			t.Fatal(err)
		}
		requests(5)
		held(2, 5)

		// Stopped before: nothing is granted.
		stopped, stop := context.WithCancel(ctx)
		stop()
		if _, err := q.Sync(stopped, r.TokenID, "0007"); err == nil {
			t.Fatal("a command that was stopped asked")
		}
		requests(5)
	})
}
