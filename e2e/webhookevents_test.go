package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"habilita/internal/testkit/wolkvoxtest"
	"habilita/internal/webhook"
)

// event is an event that a receiver got.
type event struct {
	Type string
	Data map[string]any
	body string
}

// receiver takes every event that is signed correctly.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	events []event
	wrong  []string
}

// receive makes workers send webhooks to a new receiver, and returns it.
func (l *Lab) receive() *receiver {
	l.TB.Helper()
	secret := webhook.GenerateSecret()
	key, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		l.TB.Fatal(err)
	}
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		e := event{body: string(body)}
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil || key.Verify(body, req.Header) != nil || json.Unmarshal(body, &e) != nil {
			r.wrong = append(r.wrong, e.body)
			return
		}
		r.events = append(r.events, e)
	}))
	l.TB.Cleanup(r.Close)
	l.Set("WEBHOOK_URL", r.URL, "WEBHOOK_SECRETS", secret)
	return r
}

// workersTell starts workers, and waits until they send events for what happens from then on.
func (l *Lab) workersTell(n int, env ...string) []*Worker {
	l.TB.Helper()
	workers := l.Workers(n, env...)
	l.Await("the workers tell", 0, func(ctx context.Context) (bool, string) {
		n, err := l.Client().Exists(ctx, "habilita:{webhooks}:since").Result()
		return n == 1, fmt.Sprint(n, err)
	})
	return workers
}

// all returns the events of a type so far.
func (r *receiver) all(kind string) (out []event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Type == kind {
			out = append(out, e)
		}
	}
	return out
}

// The built worker sends each event when it happens, with the fields that the docs name, and without a token.
func TestEveryEventIsTold(t *testing.T) {
	l := New(t)
	var down atomic.Bool
	v := l.ServeVendor(wolkvoxtest.Options{Script: func(r wolkvoxtest.Record) wolkvoxtest.Fault {
		switch {
		case strings.HasPrefix(r.Token, "secret-bad"):
			return wolkvoxtest.Fault{Kind: wolkvoxtest.BadToken}
		case strings.HasPrefix(r.Token, "secret-spent"):
			return wolkvoxtest.Fault{Kind: wolkvoxtest.TokenLimit}
		case down.Load() && r.Server == "0009":
			return wolkvoxtest.Fault{Kind: wolkvoxtest.Status503}
		}
		return wolkvoxtest.Fault{}
	}})
	v.Sim.HoldIf(func(r wolkvoxtest.Record) bool { return strings.HasPrefix(r.Token, "secret-held") })
	told := l.receive()
	l.workersTell(1)
	is := func(kind string, data map[string]any) func() (bool, string) {
		return func() (bool, string) {
			found := slices.ContainsFunc(told.all(kind), func(e event) bool {
				for name, want := range data {
					if fmt.Sprint(e.Data[name]) != fmt.Sprint(want) {
						return false
					}
				}
				return true
			})
			return found, fmt.Sprintf("%s of %v: %+v", kind, data, told.all(kind))
		}
	}
	await := func(kind string, data map[string]any) {
		t.Helper()
		good := is(kind, data)
		l.Await(kind, 0, func(context.Context) (bool, string) { return good() })
	}
	rows := func(server, token string, n int) string {
		return "server,token\n" + strings.Repeat(server+","+token+"\n", n)
	}
	added := func(name, text string) {
		t.Helper()
		l.MustEnqueue("schedule", "add", name, "--cron", "0 2 * * *", "--file", l.File(name+".csv", text), "--progress", "none")
	}

	file := l.File("careful.csv", rows("1", "secret-bad-1", 2)+"1,secret-good-1\n")
	if r := l.Enqueue("bulk", file, "--canary", "1", "--progress", "none"); r.Exit != 3 {
		t.Errorf("%s", r)
	}
	await("batch.canary_held", map[string]any{"batch": "careful", "failed": 1, "held_chains": 1, "settled": true, "complete": false})
	await("batch.held", map[string]any{"batch": "careful", "held_chains": 1})

	l.MustEnqueue("bulk", l.File("asked.csv", rows("1", "secret-good-2", 3)+"2,secret-good-3\n"), "--notify", "--progress", "none")
	await("batch.settled", map[string]any{"batch": "asked", "succeeded": 4, "complete": true})
	l.Await("each call's end", 0, func(context.Context) (bool, string) {
		all := told.all("call.finished")
		return len(all) >= 4, fmt.Sprintf("%+v", all)
	})
	l.MustEnqueue("bulk", l.File("unasked.csv", rows("1", "secret-good-4", 3)), "--progress", "none")
	await("batch.settled", map[string]any{"batch": "unasked", "succeeded": 3})

	added("lost", rows("1", "secret-good-5", 2))
	keys := l.Client().Keys(t.Context(), "habilita:{s:*rows*").Val()
	if len(keys) != 1 {
		t.Fatalf("%v", keys)
	}
	if err := l.Client().Del(t.Context(), keys...).Err(); err != nil {
		t.Fatal(err)
	}
	l.MustEnqueue("schedule", "run", "lost")
	await("schedule.failed", map[string]any{"schedule": "lost", "result": "failed", "calls": 0})
	added("long", rows("1", "secret-held-1", 1))
	l.MustEnqueue("schedule", "run", "long")
	l.awaitRuns("long", 1)
	l.scheduleField("long", "next", time.Now().Add(-time.Minute).UnixMilli())
	await("schedule.skipped", map[string]any{"schedule": "long", "result": "skipped"})

	l.Bulk(Plan{Batch: "spent", Rows: []Row{{Token: "secret-spent-1"}, {Token: "secret-spent-2"}}})
	await("quota.used_up", map[string]any{"used_up": 2})

	down.Store(true)
	var away []Row
	for i := range 8 {
		away = append(away, Row{Server: "0009", Token: fmt.Sprint("secret-away-", i)})
	}
	l.Bulk(Plan{Batch: "down", Rows: away})
	await("server.down", map[string]any{"server": "0009"})
	down.Store(false)
	await("server.up", map[string]any{"server": "0009"})
	v.Sim.Release()

	told.mu.Lock()
	defer told.mu.Unlock()
	for _, e := range told.events {
		if strings.Contains(e.body, "secret-") {
			t.Errorf("a token is in %s", e.body)
		}
		if batch := e.Data["batch"]; e.Type == "call.finished" && batch != "asked" {
			t.Errorf("nobody asked for %s", e.body)
		}
	}
	if len(told.wrong) > 0 {
		t.Errorf("not signed, or no JSON: %q", told.wrong)
	}
}

// A receiver that hangs takes no place of a worker, no slot, and changes no order. While as many requests hang as a worker
// sends to a receiver, the vendor sees as many calls at once as the worker has places, each call once and in order.
func TestReceiverThatHangsCostsCallsNothing(t *testing.T) {
	const places, tokens, each, hanging = 4, 12, 5, 8
	l := New(t)
	v := l.ServeVendor(wolkvoxtest.Options{})
	var hangs atomic.Int64
	release := make(chan struct{})
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		hangs.Add(1)
		defer hangs.Add(-1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(hung.Close)
	t.Cleanup(func() { close(release) })
	l.Set("WEBHOOK_URL", hung.URL, "WEBHOOK_SECRETS", webhook.GenerateSecret(), "CALL_TIMEOUT", "120s", "SHUTDOWN_TIMEOUT", "120s")
	l.workersTell(1, "CONCURRENCY", fmt.Sprint(places))
	first := Plan{Batch: "first", Rows: Many(2*hanging, 1, func(i int) string { return fmt.Sprint("first-", i) })}
	l.Bulk(first, "--notify")
	l.Await("the receiver hangs", 0, func(context.Context) (bool, string) {
		return hangs.Load() == hanging, fmt.Sprint(hangs.Load())
	})
	v.Sim.Hold()
	then := Plan{Batch: "then", Rows: Many(tokens, each, func(i int) string { return fmt.Sprint("then-", i) })}
	l.Bulk(then, "--notify")
	v.Await("all places at work", 0, func(a wolkvoxtest.Account) bool { return a.Totals.InFlight == places })
	v.Sim.Release()
	l.AwaitSettled(first.Batch, 0)
	l.AwaitSettled(then.Batch, 0)
	if got := l.MustKeep(Terms{}, first, then); got.Requests != len(first.Rows)+len(then.Rows) || got.Succeeded != got.Requests {
		t.Errorf("%+v", got)
	}
	if n := l.Client().HLen(t.Context(), l.Client().Keys(t.Context(), "habilita:{webhooks}:meta:*").Val()[0]).Val(); n == 0 {
		t.Error("no webhook waits, so the receiver did not hang")
	}
}
