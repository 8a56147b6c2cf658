package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"habilita/internal/webhook"
)

// freeAddr returns an address of this machine at which nobody listens.
func freeAddr(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// hook is what an event says about itself and about a batch.
type hook struct {
	ID   string `json:"-"`
	Type string
	Data struct {
		Batch     string
		Succeeded int
		Failed    int
		Settled   bool
		Complete  bool
	}
}

// exampleReceivers starts those receivers of examples/webhooks that can run here. Each has an address, and a function that
// returns the events that it has taken.
func (l *Lab) exampleReceivers(secret string) map[string]exampleReceiver {
	l.TB.Helper()
	root, err := Root()
	if err != nil {
		l.TB.Fatal(err)
	}
	env := append(os.Environ(), "WEBHOOK_SECRET="+secret, "WEBHOOK_DIR="+l.Dir)
	all := map[string]exampleReceiver{}
	bin := filepath.Join(l.Dir, "receiver")
	build := exec.CommandContext(l.TB.Context(), "go", "build", "-o", bin, "./examples/webhooks/go")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		l.TB.Fatalf("%v\n%s", err, out)
	}
	addr := freeAddr(l.TB)
	p := start(l.TB, "receiver-go", l.Dir, bin, env, addr)
	all["go"] = exampleReceiver{"http://" + addr + "/hook", p.Log}
	php, err := exec.LookPath("php")
	if err != nil {
		if os.Getenv("HABILITA_REQUIRE_PHP") == "1" {
			l.TB.Fatal(err)
		}
		l.TB.Log("no php: its receiver is not tried")
	} else {
		addr := freeAddr(l.TB)
		start(l.TB, "receiver-php", l.Dir, php, env, "-S", addr, filepath.Join(root, "examples", "webhooks", "receiver.php"))
		all["php"] = exampleReceiver{"http://" + addr + "/", func() string {
			text, _ := os.ReadFile(filepath.Join(l.Dir, "events.jsonl"))
			return string(text)
		}}
	}
	for name, r := range all {
		l.Await(name+" listens", 0, func(ctx context.Context) (bool, string) {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.Split(r.url, "/")[2])
			if err == nil {
				_ = c.Close()
			}
			return err == nil, fmt.Sprint(err)
		})
	}
	return all
}

type exampleReceiver struct {
	url  string
	took func() string
}

// The receivers in the docs check the signature and the time, and drop duplicates; what workers send passes.
func TestWebhooksReachTheExamples(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=1ms", "--bad-token=bad-")
	secret := strings.TrimSpace(l.MustEnqueue("keygen", "--webhook").Stdout)
	receivers := l.exampleReceivers(secret)
	var urls []string
	for _, r := range receivers {
		urls = append(urls, r.url)
	}
	l.Set("WEBHOOK_URL", strings.Join(urls, ","), "WEBHOOK_SECRETS", secret)
	l.Workers(1)
	l.Await("the worker's receivers are known", 0, func(ctx context.Context) (bool, string) {
		all, err := webhook.NewOutbox(l.Client(), "").Receivers(ctx)
		return len(all) == len(receivers), fmt.Sprint(all, err)
	})
	if r := l.MustEnqueue("webhooks", "test"); strings.Count(r.Stdout, " took it\n") != len(receivers) {
		t.Errorf("%s", r)
	}
	rows := Many(3, 2, func(i int) string {
		if i == 2 {
			return "bad-token-0002"
		}
		return good(i)
	})
	l.Bulk(Plan{Batch: "told", Rows: rows})
	for name, r := range receivers {
		l.Await(name+" is told", 0, func(context.Context) (bool, string) {
			text := r.took()
			return strings.Contains(text, `"type":"batch.settled"`) && strings.Contains(text, `"type":"batch.held"`), text
		})
		r.try(t, name, secret)
	}
	if r := l.MustEnqueue("webhooks"); !strings.Contains(r.Stdout+r.Stderr, "no webhook waits") {
		t.Errorf("%s", r)
	}
}

// try sends a receiver events that it must take, and events that it must not.
func (r exampleReceiver) try(t *testing.T, name, secret string) {
	t.Helper()
	key, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	send := func(id string, at time.Time, body, sent string) int {
		t.Helper()
		signature, err := key.Sign(id, at, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, strings.NewReader(sent))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {fmt.Sprint(at.Unix())}, "Webhook-Signature": {"v1,b3RoZXI= " + signature}}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	now, body := time.Now(), `{"by":"hand"}`
	for what, c := range map[string]struct {
		at     time.Time
		sent   string
		status int
	}{
		"a good one": {now, body, 204}, "the same once more": {now, body, 204}, "another body": {now, `{"by":"other"}`, 400},
		"an old one": {now.Add(-6 * time.Minute), body, 400}, "one of the future": {now.Add(6 * time.Minute), body, 400},
	} {
		if got := send("evt_by_hand", c.at, body, c.sent); got != c.status {
			t.Errorf("%s: %s: %d, want %d", name, what, got, c.status)
		}
	}
	if n := strings.Count(r.took(), `{"by":"hand"}`); n != 1 || strings.Contains(r.took(), "other") {
		t.Errorf("%s took it %d times: %s", name, n, r.took())
	}
}

// Workers and Redis are killed while a receiver is away. In the end it gets what the ledger knows.
func TestKillsLoseNoWebhook(t *testing.T) {
	l := New(t, "--appendfsync", "everysec")
	l.StartVendor("--latency=20ms", "--jitter=20ms")
	var away atomic.Bool
	var mu sync.Mutex
	var told []hook
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e := hook{ID: r.Header.Get("Webhook-Id")}
		if away.Load() || json.Unmarshal(body, &e) != nil || bytes.Contains(body, []byte("token-00")) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		told = append(told, e)
	}))
	defer receiver.Close()
	l.Set("WEBHOOK_URL", receiver.URL, "WEBHOOK_SECRETS", webhook.GenerateSecret())
	away.Store(true)
	workers := l.Workers(2, "CONCURRENCY", "16")
	l.Await("the workers tell", 0, func(ctx context.Context) (bool, string) {
		n, err := l.Client().Exists(ctx, "habilita:{webhooks}:since").Result()
		return n == 1, fmt.Sprint(n, err)
	})
	batches := []string{"one", "two", "three"}
	for _, name := range batches {
		l.Bulk(Plan{Batch: name, Rows: Many(5, 4, good)})
		l.AwaitSettled(name, 0)
		switch name {
		case "one": // at once, whether or not the worker has tried to tell it
			workers[0].Kill()
		case "two":
			l.Redis.Kill()
			l.Redis.Restart()
		case "three":
			workers[1].Kill()
		}
	}
	l.Workers(1)
	away.Store(false)
	// An event that failed several times is tried again after 5, 10, 20 s, and so on.
	l.Await("each batch is told", 3*time.Minute, func(context.Context) (bool, string) {
		mu.Lock()
		defer mu.Unlock()
		settled := map[string]bool{}
		for _, e := range told {
			if e.Type == "batch.settled" && e.Data.Settled && e.Data.Succeeded == 20 {
				settled[e.Data.Batch] = true
			}
		}
		return len(settled) == len(batches), fmt.Sprintf("%+v", told)
	})
}
