package engine

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

func TestAskWaitsUntilSomebodyTells(t *testing.T) {
	const every = time.Second
	for name, c := range map[string]struct {
		told        int // before it asks
		then        int // while it waits
		ends        bool
		least, most time.Duration
	}{
		"nobody tells":         {0, 0, false, every, 3 * every}, // two servers ask once each in about twice the time
		"a task came before":   {1, 0, false, 0, 0},
		"a task comes":         {0, 1, false, every / 4, every / 4},
		"tasks come":           {0, 9, false, every / 4, every / 4},
		"the worker stops":     {0, 0, true, every / 4, every / 4},
		"many tasks came once": {99, 0, false, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			stopped := make(chan struct{})
			a := newAsking(2, every, stopped)
			a.tell(c.told)
			began := time.Now()
			done := make(chan time.Duration)
			go func() {
				a.wait()
				done <- time.Since(began)
			}()
			go func() {
				time.Sleep(every / 4)
				a.tell(c.then)
				if c.ends {
					close(stopped)
				}
			}()
			if took := <-done; took < c.least || took > c.most {
				t.Errorf("%s: it waited %v, want %v to %v", name, took, c.least, c.most)
			}
			synctest.Wait()
			if told := len(a.told); told > 2 {
				t.Errorf("%s: %d may pass", name, told)
			}
			time.Sleep(every)
		})
	}
}

// A producer that enqueued an asynq task signals it to a worker that waits.
func TestProducerTellsOfItsTask(t *testing.T) {
	w := openWorld(t, redistest.Shared(t).URL, testKey(t), nil).closing()
	p := openProducer(t, w.stack.rdb, w.o.Options)
	if _, err := p.Enqueue(t.Context(), Call{Server: "0001", Token: "one-token"}); err != nil {
		t.Fatal(err)
	}
	if tags, err := w.stack.ledger.NextReady(t.Context(), soon, 10); err != nil || !slices.Equal(tags, []string{ledger.TaskReady}) {
		t.Errorf("%q, %v", tags, err)
	}
}

// A worker that almost never asks still makes the calls that producers enqueue one after the other, and those that its
// own dispatcher publishes.
func TestIdleWorkerIsToldOfTasks(t *testing.T) {
	url, key := redistest.Shared(t).URL, testKey(t)
	w := openWorld(t, url, key, nil)
	w.asking.every = time.Hour
	w.begin()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(o)
	defer func() { _ = rdb.Close() }()
	p, err := NewProducer(t.Context(), rdb, w.o.Options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	made := func() {
		t.Helper()
		select {
		case <-w.vendor.asked:
		case <-time.After(soon):
			t.Fatal("no request")
		}
	}
	for _, token := range []Token{"one-token", "another-token", "one-token"} {
		if _, err := p.Enqueue(t.Context(), Call{Server: "0001", Token: token}); err != nil {
			t.Fatal(err)
		}
		made()
	}
	if _, err := p.EnqueueBatch(t.Context(), "b", rowsOf(3, 1), BatchOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		made()
	}
}
