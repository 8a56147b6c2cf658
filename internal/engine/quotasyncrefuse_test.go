package engine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/redisconn"
	"habilita/internal/testkit/redistest"
	"habilita/internal/testkit/wolkvoxtest"
)

// syncWorld is a worker whose part the test plays, with a call of one token, and a vendor who counts.
type syncWorld struct {
	*world
	chain  string
	o      WorkerOptions
	vendor *wolkvoxtest.Server
}

func newSyncWorld(t *testing.T, url string, change func(*WorkerOptions)) *syncWorld {
	v, err := wolkvoxtest.Listen("127.0.0.1:0", wolkvoxtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	w := openWorld(t, url, testKey(t), change).closing()
	o := w.o
	o.WolkvoxURL = v.URL
	return &syncWorld{w, w.append("token-1", "a"), o, v}
}

func (w *syncWorld) open() *QuotaSync {
	w.t.Helper()
	q, err := OpenQuotaSync(w.t.Context(), w.o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = q.Close() })
	q.patience = 0
	return q
}

// refuses checks that a sync asks nothing, for a reason that contains why, and leaves the
// slots and the count of the day as they are.
func (w *syncWorld) refuses(q *QuotaSync, why string) {
	w.t.Helper()
	token, _ := ledger.SplitChainID(w.chain)
	before, err := q.limiter.Peek(w.t.Context(), token)
	if err != nil {
		w.t.Fatal(err)
	}
	requests := w.vendor.Account().Totals.Requests
	var not *NotAskedError
	if _, err := q.Sync(w.t.Context(), token, "0001"); !errors.As(err, &not) || !strings.Contains(not.Why, why) {
		w.t.Errorf("%v, want that it was not asked: %s", err, why)
	}
	after, err := q.limiter.Peek(w.t.Context(), token)
	if err != nil || after.Held != before.Held || after.Used != before.Used {
		w.t.Errorf("%+v, %v; it was %+v", after, err, before)
	}
	if n := w.vendor.Account().Totals.Requests; n != requests {
		w.t.Errorf("%d requests, it was %d", n, requests)
	}
}

func (w *syncWorld) asks(q *QuotaSync) {
	w.t.Helper()
	token, _ := ledger.SplitChainID(w.chain)
	if s, err := q.Sync(w.t.Context(), token, "0001"); err != nil || s.VendorUsed != w.vendor.Account().Totals.Requests {
		w.t.Errorf("%+v, %v", s, err)
	}
}

// A Redis that restarted may have lost slots. Until a worker has seen that, no sync opens. Then
// the worker's grant freeze is in force.
func TestQuotaSyncAfterARestartOfRedis(t *testing.T) {
	s := redistest.Start(t)
	w := newSyncWorld(t, s.URL, nil)
	w.asks(w.open())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	s.Restart()
	if _, err := OpenQuotaSync(t.Context(), w.o); err == nil || !strings.Contains(err.Error(), "no worker has seen yet that Redis restarted") {
		t.Errorf("%v", err)
	}
	w.world = openWorld(t, s.URL, w.o.Keys, nil).closing()
	w.refuses(w.open(), "restart")
}

// A sync that is open when Redis restarts gives back the grant that it gets.
func TestQuotaSyncWhileRedisRestarts(t *testing.T) {
	s := redistest.Start(t)
	w := newSyncWorld(t, s.URL, nil)
	q := w.open()
	w.asks(q)
	s.Stop()
	s.Restart()
	w.refuses(q, "Redis restarted")
}

func TestQuotaSyncKeepsTheHold(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		w := newSyncWorld(t, b.URL, nil)
		w.restarted(t.Context(), nil, redisconn.Change{Sight: redisconn.Sight{Node: "redis", RunID: "b", Uptime: time.Second}})
		if err := w.remember(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		w.refuses(w.open(), "restart")
	})
}

// A call in flight has its slot, even after an unknown outcome.
func TestQuotaSyncWhileCallsAreInFlight(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		w := newSyncWorld(t, b.URL, func(o *WorkerOptions) { o.Quota.Slots = 1 })
		q := w.open()
		for _, o := range []ledger.Outcome{
			{Kind: ledger.Done, Slot: ledger.Release},
			{Kind: ledger.Fail, Slot: ledger.Keep, Delay: time.Hour},
		} {
			step, err := w.stack.ledger.Begin(t.Context(), w.dispatch(w.chain), newID(), "")
			if err != nil || step.Status != ledger.Running {
				t.Fatalf("%+v, %v", step, err)
			}
			w.refuses(q, "slots")
			if _, err := w.stack.ledger.Finish(t.Context(), &step.Attempt, o, ledger.Stop, newID(), ""); err != nil {
				t.Fatal(err)
			}
			if o.Slot == ledger.Release {
				w.asks(q)
				w.append("token-1", "b")
			}
		}
		w.refuses(q, "slots")
	})
}

// A sync stays a member for as long as it is open: one of its requests may last longer than a membership does
// without a heartbeat.
func TestOpenQuotaSyncStaysAMember(t *testing.T) {
	m := redistest.Mini(t)
	w := newSyncWorld(t, "redis://"+m.Addr(), nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	q := w.open()
	rdb := clientOf(t, m)
	alive := func() int {
		all, err := membership.New(rdb, "habilita").Alive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	// Its membership lapses, as it does 20 s after its last beat.
	if err := rdb.Del(t.Context(), "habilita:{agreement}:alive").Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "the sync is a member again", func() bool { return alive() == 1 })
	if err := q.Close(); err != nil || alive() != 0 {
		t.Errorf("%d members after its end, %v", alive(), err)
	}
}
