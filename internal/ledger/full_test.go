package ledger

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

// If Redis is full, new work is refused and outcomes are recorded.
func TestFullRedis(t *testing.T) {
	redistest.BothOwn(t, func(t *testing.T, b redistest.Backend) {
		if b.SetTime != nil {
			t.Skip("miniredis is never full")
		}
		h := newHarness(t, b, setup{})
		h.no(h.l.Found(h.ctx, nobody))
		h.append("b1", "hold", calls(tok(1), "", "a", "b", "c"), calls(tok(2), "", "d"), calls(tok(3), "", "e"), calls(tok(4), "", "f", "g"))
		later := calls(tok(5), "", "h")
		later[0].At = h.now().Add(500 * time.Millisecond)
		h.append("b1", "hold", later)
		h.index("b1", tok(4), "f")
		a := h.start(tok(1))
		h.giveUp(tok(2))
		h.giveUp(tok(3))
		h.pass(510 * time.Millisecond)
		h.no(h.rdb.ConfigSet(h.ctx, "maxmemory-policy", "noeviction").Err())
		h.no(h.rdb.ConfigSet(h.ctx, "maxmemory", "1").Err())
		h.no(h.rdb.ScriptFlush(h.ctx).Err()) // the scripts have to be loaded again, too

		for _, batch := range []string{"b1", "b2", NoBatch} {
			_, err := h.l.Append(h.ctx, Append{Batch: batch, Policy: "hold", Calls: calls(tok(1), "", "new")})
			if !redis.HasErrorPrefix(err, "OOM") {
				t.Errorf("append to %s: %v", batch, err)
			}
		}
		h.check() // and left nothing behind
		if err := h.l.Index(h.ctx, []Given{{ID: "x", Batch: "b1", Token: tok(1)}}); !redis.HasErrorPrefix(err, "OOM") {
			t.Errorf("index: %v", err)
		}

		for heldOnly, want := range map[bool]int{true: 2, false: 4} {
			n := 0
			for _, err := range h.l.Chains(h.ctx, []string{testTag}, heldOnly) {
				h.no(err)
				n++
			}
			h.is(n, want)
		}

		s := h.finish(a, Outcome{Kind: Done, Code: "200"}, true)
		h.is(s.Attempt.Key, "=b")
		h.finish(s.Attempt, Outcome{Kind: Fail, Slot: Keep}, true)
		h.is(h.start(tok(5)).Key, "=h")
		h.is(h.decide(tok(2), DecisionRetry, Meant{}), true)
		h.is(h.decide(tok(3), DecisionSkip, Meant{}), true)
		f := h.dispatch(tok(2))
		ok, err := h.l.Requeue(h.ctx, f)
		h.no(err)
		h.is(ok, true)
		h.is(h.cancelChain(tok(4), Meant{}, false), 2)
		n, err := h.l.Reseal(h.ctx, func(token, _ string) (string, error) { return "anew", nil })
		h.no(err)
		h.is(n, 5)
		h.is(h.cancelBatch("b1") > 0, true)
		h.is(h.purge("b1", future) > 0, true)
		h.no(h.l.Signal(h.ctx, h.now(), testTag))
		h.no(h.limiter().SetLicenses(h.ctx, tok(1), 7))
		looked, err := h.l.LookAt(h.ctx, []string{testTag})
		h.no(err)
		h.no(h.l.Raise(h.ctx, []string{testTag}, time.Time{}, func(string) string { return "another process" }))
		again, err := h.l.LookAt(h.ctx, []string{testTag})
		h.no(err)
		h.is(again[0].Looks > looked[0].Looks && again[0].Lost.After(looked[0].Lost), true)
	})
}
