package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
	"habilita/internal/testkit/wolkvoxtest"
)

// leastACL returns the least ACL of a role, as docs/redis.md has it for the file of users.
func leastACL(tb testing.TB, role string) []string {
	tb.Helper()
	text, err := os.ReadFile("../docs/redis.md")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rules, ok := strings.CutPrefix(strings.TrimSpace(line), "user habilita-"+role+" on >change-me "); ok {
			return strings.Fields(rules)
		}
	}
	tb.Fatalf("docs/redis.md has no ACL for a %s", role)
	return nil
}

// clusterACL is what docs/redis.md asks for besides, in a Redis Cluster.
func clusterACL() []string { return []string{"+cluster|slots", "+command"} }

// user makes a Redis user with the least ACL of a role, and returns its REDIS_URL.
func (l *Lab) user(name, role string) string {
	l.TB.Helper()
	line := []any{"acl", "setuser", name, "reset", "on", ">pw"}
	for _, w := range leastACL(l.TB, role) {
		line = append(line, w)
	}
	if err := l.Client().Do(l.TB.Context(), line...).Err(); err != nil {
		l.TB.Fatal(err)
	}
	return "redis://" + name + ":pw@" + l.Redis.Addr + "/0"
}

// Everything runs with the least ACL of each role, and Redis refuses no command.
func TestLeastACL(t *testing.T) {
	l := New(t)
	working, producing := l.user("worker", "worker"), l.user("producer", "producer")
	operating, reading := l.user("operator", "operator"), l.user("reader", "reader")
	as := func(url string, want []int, args ...string) {
		t.Helper()
		r := l.EnqueueWith([]string{"REDIS_URL", url, "WOLKVOX_TOKEN", "token-single"}, "", args...)
		if !slices.Contains(want, r.Exit) || strings.Contains(r.Stderr, "warning") {
			t.Fatalf("%s", r)
		}
	}
	ok := []int{0}
	l.StartVendor("--latency=2ms", "--bad-token=bad-", "--fault-rate=0.1", "--seed=7")
	told := l.receive()
	isBad := func(i int) bool { return i%5 == 0 }
	p := Plan{Batch: "acl", Rows: Many(30, 4, func(i int) string {
		if isBad(i) {
			return "bad-" + good(i)
		}
		return good(i)
	})}
	file := l.File("acl.csv", p.CSV())
	as(producing, ok, "bulk", file, "--batch", p.Batch, "--progress", "none")
	as(producing, ok, "bulk", file, "--batch", p.Batch, "--progress", "none") // again
	as(producing, ok, "call", "--server", "1", "--batch", "later", "--id", "later", "--in", "1s", "--licenses", "3", "--notify")
	as(producing, ok, "bulk", file, "--batch", "never", "--in", "24h", "--progress", "none")
	as(operating, ok, "schedule", "add", "nightly", "--cron", "@daily", "--file", file, "--progress", "none")
	as(operating, ok, "schedule", "add", "nightly", "--cron", "@daily", "--file", file, "--replace", "--progress", "none")
	as(operating, ok, "schedule", "pause", "nightly")
	as(operating, ok, "schedule", "resume", "nightly")
	as(operating, ok, "schedule", "run", "nightly")

	// One worker is killed at work and two go on. Later a worker with a tiny retention clears up.
	dies := l.StartWorker("REDIS_URL", working)
	dies.Ready()
	l.Vendor.AwaitRequests(5, 0)
	dies.Kill()
	l.Workers(2, "REDIS_URL", working, "CONCURRENCY", "8")
	as(producing, []int{0, 3}, "call", "--server", "1", "--id", "waited", "--wait", "--json")
	l.AwaitSettled(p.Batch, 90*time.Second)
	for _, kind := range []string{"batch.settled", "batch.held", "call.finished"} {
		l.Await(kind, 0, func(context.Context) (bool, string) { return len(told.all(kind)) > 0, fmt.Sprint(kind, told.events) })
	}
	as(operating, ok, "webhooks", "test")

	for _, args := range [][]string{
		{"status", p.Batch}, {"watch", p.Batch}, {"report", p.Batch}, {"batches"}, {"show", "later"}, {"chains"}, {"chains", "--held"}, {"chains", "--scheduled"}, {"quota"}, {"servers"}, {"webhooks"},
		{"schedule", "list"}, {"schedule", "show", "nightly"},
	} {
		as(reading, ok, args...)
		as(operating, ok, args...)
	}
	held := l.Chains(true)
	if len(held) < 6 {
		t.Fatalf("%d held chains", len(held))
	}
	as(operating, ok, "retry", "--chain", held[0].ID)
	as(operating, ok, "skip", "--chain", held[1].ID)
	as(operating, ok, "cancel", "--chain", held[2].ID)
	as(operating, ok, "cancel", "--batch", "never")
	as(operating, []int{1}, "bulk", file, "--batch", "never", "--progress", "none") // it takes nothing
	as(operating, ok, "reopen", "never")
	as(operating, ok, "bulk", file, "--batch", "never", "--progress", "none")
	pruned := l.File("acl-pruned.csv", "server,token\n1,token-of-nobody\n")
	as(producing, []int{0, 1}, "bulk", pruned, "--batch", "never", "--prune", "--progress", "none") // too many without --prune=N
	as(producing, ok, "bulk", file, "--batch", "never2", "--progress", "none")                      // stands behind what is held
	as(producing, ok, "call", "--server", "1", "--batch", "never", "--id", "late")
	as(operating, ok, "cancel", "--batch", "never2")
	as(operating, ok, "retry", "--all")
	as(operating, ok, "rekey")
	l.awaitRuns("nightly", 1)
	as(operating, ok, "schedule", "remove", "nightly")
	as(operating, ok, "servers", "lift", "--server", "1")
	as(operating, ok, "quota", "lift", "--token-id", strings.Split(held[0].ID, ":")[0])
	as(operating, []int{0, 1}, "quota", "sync", "--batch", p.Batch) // the vendor refuses bad tokens
	l.AwaitSettled(p.Batch, 0)
	as(operating, ok, "cancel", "--batch", p.Batch)

	for _, w := range l.workers[1:] {
		w.Term()
		if code := w.Wait(Patience); code != 0 || strings.Contains(w.Log(), "NOPERM") {
			t.Errorf("%s: exit %d\n%s", w.Name, code, w.Tail(5))
		}
	}
	// Now the batch looks as if nobody had appended to it for a minute.
	if err := l.Client().HDel(t.Context(), "habilita:batch:"+ledger.BatchID(p.Batch), "until").Err(); err != nil {
		t.Fatal(err)
	}
	StartInside(t, working, l.Vendor.URL, engine.WorkerOptions{
		Options: engine.Options{Keys: l.Keys}, Retention: time.Millisecond, ReconcileInterval: 100 * time.Millisecond,
	})
	l.Await("the settled batch goes", 0, func(ctx context.Context) (bool, string) {
		st, err := l.Operator().Status(ctx, p.Batch)
		return err != nil, fmt.Sprintf("%+v", st)
	})

	nothingRefused(t, l.Client())
	if v := l.Vendor.Account(); v.Totals.Successes < 90 {
		t.Errorf("%+v", v.Totals)
	}
}

// Both commands refuse a Redis that would lose calls or allows too little, and say what to do.
// If Redis could be better they warn, and --json stays one object.
func TestPreflightOfTheCommands(t *testing.T) {
	l := New(t, "--appendonly", "no")
	l.StartVendor("--latency=0")
	file := l.File("one.csv", "server,token\n0001,token-a\n")
	r := l.MustEnqueue("bulk", file, "--batch", "b", "--json", "--progress", "none")
	var sum Summary
	if l.JSON(r, &sum); strings.Count(r.Stderr, "appendonly is off") != 1 || !strings.Contains(r.Stderr, "CONFIG SET appendonly yes") {
		t.Errorf("%s", r)
	}
	w := l.StartWorker()
	w.WaitLine("appendonly is off", Patience)
	w.Ready()
	if r := l.MustEnqueue("status", "b"); r.Stderr != "" {
		t.Errorf("a command that only looks: %s", r)
	}
	refused := func(want ...string) {
		t.Helper()
		for _, args := range [][]string{
			{"bulk", file}, {"call", "--server", "1"}, {"retry", "--all"}, {"skip", "--all"}, {"cancel", "--all"}, {"rekey"},
		} {
			r := l.EnqueueWith([]string{"WOLKVOX_TOKEN", "token-a"}, "", args...)
			if r.Exit != 1 || r.Stdout != "" {
				t.Errorf("%s", r)
			}
			for _, s := range want {
				if !strings.Contains(r.Stderr, s) {
					t.Errorf("no %q: %s", s, r)
				}
			}
		}
		w := l.StartWorker()
		if code := w.Wait(Patience); code != 1 {
			t.Errorf("exit %d", code)
		}
		for _, s := range want {
			w.WaitLine(s, Patience)
		}
	}
	c := l.Client()
	if err := c.ConfigSet(t.Context(), "maxmemory-policy", "volatile-lru").Err(); err != nil {
		t.Fatal(err)
	}
	refused("maxmemory-policy is volatile-lru", "CONFIG SET maxmemory-policy noeviction")
	if err := c.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err(); err != nil {
		t.Fatal(err)
	}
	mine := l.Env["REDIS_URL"]
	l.Set("REDIS_URL", l.user("app", "reader"))
	refused("~asynq:*", "+hset", "ACL SETUSER app")
	l.Set("REDIS_URL", mine)
	if err := c.Do(t.Context(), "replicaof", "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	refused("this Redis is a replica", "point REDIS_URL at the master")
	if err := c.Do(t.Context(), "replicaof", "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	l.AwaitStatus("b", "done", 0, func(s control.Status) bool { return s.Succeeded == 1 })
	if l.Status("b").Total != 1 {
		t.Error("a command that was refused enqueued something")
	}
}

// The same rights, and those of a cluster's clients, are enough on a Redis Cluster.
func TestLeastACLOfACluster(t *testing.T) {
	url, nodes := redistest.StartCluster(t, 2)
	words := append(leastACL(t, "worker"), clusterACL()...)
	for _, w := range leastACL(t, "operator") { // the keys and channels of a worker are all that there are
		if w[0] == '+' {
			words = append(words, w)
		}
	}
	for _, n := range nodes {
		line := []any{"acl", "setuser", "app", "reset", "on", ">pw"}
		for _, w := range words {
			line = append(line, w)
		}
		if err := n.Client().Do(t.Context(), line...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	vendor := wolkvoxtest.Start(t, wolkvoxtest.Options{})
	in := StartInside(t, strings.Replace(url, "://", "://app:pw@", 1), vendor.URL, engine.WorkerOptions{})
	in.EnqueueAll(t, "cluster", 40, func(i int) engine.Call { return engine.Call{Server: "0001", Token: engine.Token(good(i % 20))} })
	if st := in.Settled(t, "cluster"); st.Succeeded != 40 {
		t.Errorf("%+v", st)
	}
	for _, n := range nodes {
		nothingRefused(t, n.Client())
	}
}

// nothingRefused wants an empty ACL LOG, apart from CLIENT SETINFO: from Redis 7.2 on, clients tell the library's
// version with it, and nobody needs that right.
func nothingRefused(t *testing.T, c *redis.Client) {
	t.Helper()
	log, err := c.ACLLog(context.WithoutCancel(t.Context()), 64).Result()
	if err != nil {
		t.Error(err)
	}
	for _, r := range log {
		if r.Object != "client|setinfo" {
			t.Errorf("%s: refused: %s, %s %s of %s", c.Options().Addr, r.Reason, r.Context, r.Object, r.Username)
		}
	}
}
