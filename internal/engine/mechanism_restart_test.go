package engine

import (
	"fmt"
	"testing"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/testkit/redistest"
)

// Redis restarts while a worker uses it: nothing is granted for one lease.
func TestNothingIsMadeAfterARestartOfRedis(t *testing.T) {
	s := redistest.Start(t)
	w := openWorld(t, s.URL, testKey(t), nil).closing()
	id := w.append("token-1", "a")
	s.Stop() // in order: the ledger is whole, and the run_id another
	s.Restart()
	f := w.dispatch(id)
	if err := w.runner.run(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if n := w.vendor.made.Load(); n != 0 {
		t.Fatalf("%d requests", n)
	}
	if got := w.stateOf(id); got != "waiting restart" {
		t.Errorf("chain is %s", got)
	}
}

// The ledger's data reveals a restart that no worker saw, and workers that start during the
// grant freeze keep it.
func TestRestartWhileNoWorkerWasThere(t *testing.T) {
	s, key := redistest.Start(t), testKey(t)
	first := openWorld(t, s.URL, key, nil)
	if until := first.stack.notBefore.Load(); until != 0 {
		t.Errorf("a hold until %d at first sight", until)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	s.Restart()
	before := time.Now()
	var holds []int64
	for _, token := range []string{"token-1", "token-2"} {
		w := openWorld(t, s.URL, key, nil)
		until := w.stack.notBefore.Load()
		if until < before.Add(65*time.Second).UnixMilli() {
			t.Errorf("a hold until %d", until)
		}
		holds = append(holds, until)
		step, err := w.stack.ledger.Begin(t.Context(), w.dispatch(w.append(token, "a")), newID(), "")
		if err != nil || step.Status != ledger.Deferred || step.Reason != "restart" {
			t.Errorf("%+v, %v", step, err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if holds[0] != holds[1] {
		t.Errorf("the second worker holds until %d, the first until %d", holds[1], holds[0])
	}
}

// The data at a worker's first start may be that of a replica that lacks all that another worker did, even its first
// start. The process that founded the ledger has noted which Redis process had it.
func TestRestartBeforeTheFirstWorker(t *testing.T) {
	s, key := redistest.Start(t), testKey(t)
	p, err := NewProducer(t.Context(), s.Client(), Options{Keys: key})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	s.Restart()
	w := openWorld(t, s.URL, key, nil).closing()
	if until, least := w.stack.notBefore.Load(), time.Now().Add(60*time.Second).UnixMilli(); until < least {
		t.Errorf("no call is made until %d, want at least %d", until, least)
	}
}

// A grant that Redis gave before it knew of the freeze is given back, and nothing is sent.
func TestOvertakenGrantIsGivenBack(t *testing.T) {
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), nil).closing()
	id := w.append("token-1", "a")
	step, err := w.stack.ledger.Begin(t.Context(), w.dispatch(id), newID(), "")
	if err != nil || step.Status != ledger.Running {
		t.Fatalf("%+v, %v", step, err)
	}
	w.restarted(t.Context(), nil, redisconn.Change{Sight: redisconn.Sight{Node: "redis", RunID: "b", Uptime: time.Second}})
	j := w.runner.attempt(t.Context(), step.Attempt.Chain, &step.Attempt, time.Now())
	if j.Kind != ledger.Late || j.Slot != ledger.GiveBack || w.vendor.made.Load() != 0 {
		t.Errorf("%+v, %d requests", j, w.vendor.made.Load())
	}
}

// If every write was synced, a restart lost nothing if the data is the same. A replica that took
// over may lack writes.
func TestDurableRedisGoesOn(t *testing.T) {
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), nil).closing()
	w.durable.Store(true)
	saw := fmt.Sprint(w.stack.memory.looked("aa"))
	conn := clientOf(t, m).Conn()
	defer conn.Close()
	same := redisconn.Change{Sight: redisconn.Sight{Node: "redis", RunID: "b", Uptime: time.Second, Master: true}}
	replica, old := same, same
	replica.Master, old.Uptime = false, time.Hour
	for _, c := range []struct {
		name    string
		looks   string // of the data; "": none
		change  redisconn.Change
		freezes bool
	}{
		{"the same data", saw, same, false},
		{"an older file", "0", same, true},
		{"no data", "", same, true},
		{"a replica that took over", saw, replica, true},
		{"another process that ran before", saw, old, true},
	} {
		w.stack.notBefore.Store(0)
		m.HDel("habilita:{aa}:epoch", "n")
		if c.looks != "" {
			m.HSet("habilita:{aa}:epoch", "n", c.looks)
		}
		w.restarted(t.Context(), conn, c.change)
		if got := w.stack.notBefore.Load() != 0; got != c.freezes {
			t.Errorf("%s: frozen %v, want %v", c.name, got, c.freezes)
		}
	}
}
