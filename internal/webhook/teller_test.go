package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
	"habilita/internal/web/api/apitest"
	"habilita/internal/webhook"
)

const token = "secret-token-0123456789"

// world has batches on a miniredis, a receiver, and workers that tell it.
type world struct {
	*apitest.Served
	t     *testing.T
	url   string
	got   chan event
	nonce int
	log   lines // of the workers
}

// lines gives a log line by line.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

type event struct {
	ID   string `json:"-"`
	Type string
	Data struct {
		Batch      string
		ID         string
		Ref        string
		State      string
		Succeeded  int
		Failed     int
		Settled    bool
		Complete   bool
		HeldChains int `json:"held_chains"`
		Reasons    map[string]int
	}
}

func newWorld(t *testing.T) *world {
	w := &world{Served: apitest.Start(t, "ana:write:ana-0123456789abcdefghij"), t: t, got: make(chan event, 100), log: make(lines, 1000)}
	var seen sync.Map
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), token) {
			t.Errorf("a token is told: %s", body)
		}
		e := event{ID: r.Header.Get("Webhook-Id")}
		if err := json.Unmarshal(body, &e); err != nil {
			t.Error(err)
		}
		if _, double := seen.LoadOrStore(e.ID, nil); !double {
			w.got <- e
		}
	}))
	t.Cleanup(s.Close)
	w.url = s.URL
	return w
}

// worker tells until end is called, or the test ends.
func (w *world) worker() (hooks *webhook.Webhooks, end func()) {
	w.t.Helper()
	hooks, err := webhook.New(webhook.Options{
		Redis: w.Client, Control: w.Control, URLs: w.url, Secrets: webhook.GenerateSecret(),
		Metrics: prometheus.NewRegistry(), Log: zerolog.New(w.log),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); hooks.Run(ctx) }()
	end = sync.OnceFunc(func() { stop(); <-ended })
	w.t.Cleanup(end)
	for !w.Redis.Exists("habilita:{webhooks}:since") { // what settles before is no news
		time.Sleep(time.Millisecond)
	}
	return hooks, end
}

func (w *world) enqueue(batch string, n int) {
	w.t.Helper()
	calls := func(yield func(engine.Call, error) bool) {
		for range n {
			if !yield(engine.Call{Server: "1", Token: token}, nil) {
				return
			}
		}
	}
	if _, err := w.Producer.EnqueueBatch(w.t.Context(), batch, calls, engine.BatchOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) attempt(o ledger.Outcome) {
	w.t.Helper()
	ctx := w.t.Context()
	dispatched, err := w.Ledger.DispatchAll(ctx, []string{ledger.Tag(w.Producer.TokenID(token))}, 1)
	if err != nil || len(dispatched[0].Dispatches) != 1 {
		w.t.Fatalf("dispatch: %+v, %v", dispatched, err)
	}
	w.nonce++
	s, err := w.Ledger.Begin(ctx, dispatched[0].Dispatches[0], fmt.Sprint("nonce", w.nonce), "")
	if err != nil || s.Status != ledger.Running {
		w.t.Fatalf("begin: %+v, %v", s, err)
	}
	if _, err = w.Ledger.Finish(ctx, &s.Attempt, o, ledger.Stop, fmt.Sprint("next", w.nonce), ""); err != nil {
		w.t.Fatal(err)
	}
}

var (
	done   = ledger.Outcome{Kind: ledger.Done, Slot: ledger.Release}
	giveUp = ledger.Outcome{Kind: ledger.GiveUp, Slot: ledger.Release, Err: "refused", Reason: "bad_token"}
)

func (w *world) await() event {
	w.t.Helper()
	select {
	case e := <-w.got:
		return e
	case <-time.After(time.Minute):
		w.t.Fatal("no event within a minute")
		return event{}
	}
}

// next returns the event that comes next.
func (w *world) next(kind string) event {
	w.t.Helper()
	e := w.await()
	if e.Type != kind {
		w.t.Fatalf("got %+v, want %s", e, kind)
	}
	return e
}

func TestBatchIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hooks, _ := w.worker()
	w.worker() // another one, which tells nothing twice
	w.enqueue("one", 2)
	w.attempt(done)
	w.attempt(giveUp)
	hooks.Saw(ledger.BatchID("one"))
	// The two are sent side by side.
	first, second := w.await(), w.await()
	if first.Type == "batch.settled" {
		first, second = second, first
	}
	if d := first.Data; first.Type != "batch.held" || d.Batch != "one" || d.HeldChains != 1 || d.Reasons["bad_token"] != 1 {
		t.Errorf("%+v", first)
	}
	if d := second.Data; second.Type != "batch.settled" || d.Batch != "one" || d.Succeeded != 1 || d.Failed != 1 || !d.Settled || !d.Complete {
		t.Errorf("%+v", second)
	}
	// A person decides, and the batch settles anew.
	if _, err := w.Control.Skip(t.Context(), control.Selection{Batch: "one"}); err != nil {
		t.Fatal(err)
	}
	if e := w.next("batch.settled"); e.ID == second.ID || e.Data.Failed != 0 {
		t.Errorf("%+v", e)
	}
	if len(w.got) > 0 {
		t.Errorf("another event: %+v", <-w.got)
	}
}

// The next worker tells what happened while none lived, and nothing is told twice.
func TestNothingIsLostBetweenWorkers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, end := w.worker()
	w.enqueue("one", 1)
	w.attempt(done)
	first := w.next("batch.settled")
	end()
	w.enqueue("two", 1)
	w.attempt(done)
	w.worker()
	second := w.next("batch.settled")
	if first.Data.Batch != "one" || second.Data.Batch != "two" {
		t.Errorf("%+v, %+v", first, second)
	}
}

// The end of a call that asked for it is told, however it ended. That of others is not.
func TestFinishedCallsAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.worker()
	calls := func(yield func(engine.Call, error) bool) {
		_ = yield(engine.Call{Server: "1", Token: token, ID: "a", Ref: "r", Notify: true}, nil) &&
			yield(engine.Call{Server: "1", Token: token, ID: "b"}, nil) &&
			yield(engine.Call{Server: "1", Token: token, ID: "c", Notify: true}, nil)
	}
	if _, err := w.Producer.EnqueueBatch(t.Context(), "one", calls, engine.BatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.attempt(done)
	w.attempt(done)
	w.attempt(giveUp)
	states := map[string]string{}
	for len(states) < 2 {
		e := w.await()
		if e.Type != "call.finished" {
			continue
		}
		if e.Data.Batch != "one" || e.Data.ID == "a" && e.Data.Ref != "r" {
			t.Errorf("%+v", e)
		}
		states[e.Data.ID] = e.Data.State
	}
	if states["a"] != "succeeded" || states["c"] != "failed" {
		t.Errorf("%v", states)
	}
	// Calls with that mark are recognised like others.
	if sum, err := w.Producer.EnqueueBatch(t.Context(), "one", calls, engine.BatchOptions{}); err != nil || sum.Held != 1 || sum.Duplicates != 3 {
		t.Errorf("%+v, %v", sum, err)
	}
	// A person retries the one that was given up: its new end is told.
	if _, err := w.Control.Retry(t.Context(), control.Selection{Batch: "one"}); err != nil {
		t.Fatal(err)
	}
	w.attempt(done)
	next := func() event {
		for e := w.await(); ; e = w.await() {
			if e.Type == "call.finished" {
				return e
			}
		}
	}
	if e := next(); e.Data.ID != "c" || e.Data.State != "succeeded" {
		t.Errorf("%+v", e)
	}
	// What is cancelled, or pruned, has ended too.
	one := func(id string) iter.Seq2[engine.Call, error] {
		return func(yield func(engine.Call, error) bool) {
			yield(engine.Call{Server: "1", Token: token, ID: id, Notify: true, Row: 1}, nil)
		}
	}
	for batch, end := range map[string]func() error{
		"cancelled": func() error {
			_, err := w.Control.Cancel(t.Context(), control.Selection{Batch: "cancelled"})
			return err
		},
		"pruned": func() error {
			_, err := w.Producer.EnqueueBatch(t.Context(), "pruned", one("other"), engine.BatchOptions{Prune: true})
			return err
		},
	} {
		if _, err := w.Producer.EnqueueBatch(t.Context(), batch, one("of-"+batch), engine.BatchOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if e := next(); e.Data.ID != "of-"+batch || e.Data.State != "cancelled" {
			t.Errorf("%+v", e)
		}
	}
}

// While a part of Redis is away, used-up quotas of the other tokens are told, and the log says once what is unread.
func TestQuotaIsToldWhileAPartIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enqueue("one", 1)
	w.attempt(done)
	for _, key := range w.Redis.Keys() {
		if strings.Contains(key, ":used:"+w.Producer.TokenID(token)+":") {
			if err := w.Redis.Set(key, "1000"); err != nil {
				t.Fatal(err)
			}
		}
	}
	away := ledger.Tag(w.Producer.TokenID(token))
	for n := 0; away == ledger.Tag(w.Producer.TokenID(token)); n++ {
		away = ledger.Tag(w.Producer.TokenID(engine.Token(fmt.Sprint("another-token-", n))))
	}
	if err := redistest.Spoil(w.Redis, "habilita:{"+away+"}:", "tokens"); err != nil {
		t.Fatal(err)
	}
	_, end := w.worker()
	for w.await().Type != "quota.used_up" {
	}
	const said = "a look at the tokens' quota"
	for !strings.Contains(<-w.log, said) { // the event may be here before the look that told it has ended
	}
	end()
	for range len(w.log) {
		if line := <-w.log; strings.Contains(line, said) {
			t.Errorf("the log says it again: %s", line)
		}
	}
}
