package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/quota"
	"habilita/internal/vault"
)

// A batch is told apart by what it waits for: its producer, or its calls.
func TestStatusSaysWhatABatchWaitsFor(t *testing.T) {
	for want, st := range map[string]control.Status{
		"not settled: a producer still adds rows\n": {Filling: true},
		"not settled\n": {Open: 1},
	} {
		var out bytes.Buffer
		(&app{out: &out, zone: time.UTC}).printStatus(st)
		if !strings.HasSuffix(out.String(), "\n"+want) {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
}

// batchOfOne enqueues batch b of one call. It returns its Redis, and the environment of commands on it.
func batchOfOne(t *testing.T) (w *worker, getenv func(string) string) {
	t.Helper()
	w, err := newWorker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	key, err := vault.GenerateKey("k1")
	if err != nil {
		t.Fatal(err)
	}
	getenv = func(name string) string {
		return map[string]string{"HABILITA_KEYS": key, "REDIS_URL": "redis://" + w.redis.Addr()}[name]
	}
	var out, errs bytes.Buffer
	rows := strings.NewReader("server,token\n1,tok-a\n")
	if status := run(t.Context(), []string{"bulk", "-", "--batch", "b"}, getenv, rows, &out, &errs); status != exitOK {
		t.Fatalf("exit %d: %s", status, &errs)
	}
	return w, getenv
}

// Every command shows times in QUOTA_TIMEZONE, so that two of them can be compared.
func TestTimesAreInTheZoneOfTheSettings(t *testing.T) {
	_, env := batchOfOne(t)
	getenv := func(name string) string {
		if name == "QUOTA_TIMEZONE" {
			return "Asia/Tokyo"
		}
		return env(name)
	}
	for _, args := range [][]string{{"status", "b"}, {"batches"}} {
		var out, errs bytes.Buffer
		if status := run(t.Context(), args, getenv, nil, &out, &errs); status != exitOK || !strings.Contains(out.String(), " +09") {
			t.Errorf("%s: exit %d: %s%s", args[0], status, &out, &errs)
		}
	}
}

// cancels ends a context at the first word that is written.
type cancels struct {
	bytes.Buffer
	cancel context.CancelFunc
}

func (c *cancels) Write(p []byte) (int, error) {
	c.cancel()
	return c.Buffer.Write(p)
}

// Ctrl-C ends watch. That is not a failure, since watch only looks.
func TestWatchEndedByCtrlC(t *testing.T) {
	_, getenv := batchOfOne(t)
	var errs bytes.Buffer
	for _, args := range [][]string{{"watch", "b"}, {"watch", "b", "--json"}} {
		ctx, cancel := context.WithCancel(t.Context())
		seen := &cancels{cancel: cancel}
		errs.Reset()
		if status := run(ctx, args, getenv, nil, seen, &errs); status != exitOK || !strings.Contains(errs.String(), "stopped watching; the batch goes on") {
			t.Errorf("%v: exit %d: %s", args, status, &errs)
		}
		if told := seen.String() + errs.String(); !strings.Contains(told, "no worker is running") || len(args) == 3 && strings.Contains(seen.String(), "no worker") {
			t.Errorf("%v: %s", args, told)
		}
		cancel()
	}
}

// Workers send webhooks: if none runs, a test of them says so at once, and leaves no event behind.
func TestWebhooksTestWithoutWorker(t *testing.T) {
	w, getenv := batchOfOne(t)
	if _, err := w.redis.ZAdd("habilita:{webhooks}:receivers", float64(time.Now().UnixMilli()), "r1 https://a.example"); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	status := run(t.Context(), []string{"webhooks", "test", "--timeout", "1ms"}, getenv, nil, &out, &errs)
	if status != exitFailed || !strings.Contains(errs.String(), "no worker is running") || w.redis.Exists("habilita:{webhooks}:due:r1") {
		t.Errorf("exit %d: %s", status, &errs)
	}
}

func TestProgressOf(t *testing.T) {
	eta := 90_061.0
	p := control.Progress{
		Status: control.Status{Total: 5000, Succeeded: 10, Open: 4990, HeldChains: 1}, Rate: 1234.4, ETASeconds: &eta, Sampled: true,
		Waiting: []control.Waiting{
			{Reason: "quota", Chains: 12, Until: control.Time{Time: time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)}},
			{Reason: "cooling", Chains: 3, Until: control.Time{Time: time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)}},
			{Reason: "slots", Chains: 2}, {Reason: "held", Chains: 1},
		},
		LastErrors: []string{"500 oops", "timeout"},
	}
	want := "10 of 5,000 succeeded, 4,990 open, 1 chain held; 1,234/s, 1d1h1m1s to go; " +
		"waiting (sample): quota 12 (until 2026-11-24 05:00:00 +00), cooling 3 (next try at 2026-11-24 05:00:00 +00), slots 2; last errors: 500 oops | timeout"
	if got := (&app{zone: time.UTC}).progressOf(p); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := (&app{}).progressOf(control.Progress{Status: control.Status{Total: 2, Open: 2}}); got != "0 of 2 succeeded, 2 open" {
		t.Errorf("got %s", got)
	}
}

// A token that cools down is tried gently before its cool-down ends, so its chains show another time than `enqueue quota`.
func TestWaitingChainSaysWhenItIsTried(t *testing.T) {
	until := control.Time{Time: time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)}
	for reason, want := range map[string]string{"cooling": "why (next try at 2026-11-24 05:00:00 +00)", "quota": "why (until 2026-11-24 05:00:00 +00)"} {
		if got := (&app{zone: time.UTC}).chainLine(control.Chain{ID: "c", Reason: reason, Why: "why", Until: until}); !strings.HasSuffix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A command on another machine than the workers does not have their settings, but shows their quotas.
func TestQuotaIsThatOfTheWorkers(t *testing.T) {
	w, getenv := batchOfOne(t)
	quotaShown := func() (row control.QuotaRow) {
		t.Helper()
		var out, errs bytes.Buffer
		if status := run(t.Context(), []string{"quota", "--json"}, getenv, nil, &out, &errs); status != exitOK || errs.Len() > 0 {
			t.Fatalf("exit %d: %s", status, &errs)
		}
		if err := json.Unmarshal(out.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		return row
	}
	if row := quotaShown(); row.Quota != 1000 {
		t.Errorf("without a worker: %+v", row)
	}
	p, err := engine.NewProducer(t.Context(), w.rdb, engine.Options{Keys: getenv("HABILITA_KEYS"), Quota: quota.Settings{DefaultLicenses: 7}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if _, err := p.Limits(t.Context()); err != nil {
		t.Fatal(err)
	}
	if row := quotaShown(); row.Quota != 7000 || row.Licenses != 7 {
		t.Errorf("with one whose tokens have seven licences: %+v", row)
	}
}

// A wait ends well if all calls of the file succeeded: others may have been cancelled, by --prune or a person.
func TestAllOfTheFileSucceeded(t *testing.T) {
	for _, c := range []struct {
		total, succeeded, cancelled, failed, unread, mine int
		want                                              bool
	}{
		{total: 3, succeeded: 3, mine: 3, want: true},
		{total: 4, succeeded: 3, cancelled: 1, mine: 3, want: true},
		{total: 4, succeeded: 3, cancelled: 1, mine: 4},            // it is of the file
		{total: 4, succeeded: 2, cancelled: 2, mine: 3},            // one of them is
		{total: 4, succeeded: 3, failed: 1, mine: 3},               // one that could not be taken back
		{total: 4, succeeded: 3, cancelled: 1, mine: math.MaxInt},  // some rows of a file
		{total: 3, succeeded: 2, cancelled: 1, mine: 4},            // a row stands in the file twice
		{total: 4, succeeded: 3, cancelled: 1, unread: 1, mine: 3}, // who knows
	} {
		s := control.Status{Total: c.total, Succeeded: c.succeeded, Failed: c.failed, Cancelled: c.cancelled, Unread: c.unread}
		if got := allSucceeded(s, c.mine); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
