package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/testkit/redistest"
	"habilita/internal/testkit/wolkvoxtest"
)

// One of three masters dies. The calls on the other nodes go on, decisions reach them, and every
// command shows what it can read and says what it can't. When the node is back, nothing is missing.
func TestOneNodeOfAClusterDies(t *testing.T) {
	url, nodes := redistest.StartCluster(t, 3, "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000")
	l := New(t)
	l.Set("REDIS_URL", url)
	// The first node has the list of signalled buckets, the token-ID key, the audit log and the
	// reconciler's lease; asynq's queue is on the second one.
	dies := nodes[0]
	batch := ""
	for i := 0; batch == ""; i++ {
		name := fmt.Sprint("b", i)
		slot, err := dies.Client().ClusterKeySlot(t.Context(), "habilita:batch:"+ledger.BatchID(name)).Result()
		if err != nil {
			t.Fatal(err)
		}
		if slot >= 16384/3+1 {
			batch = name
		}
	}
	op, err := control.Open(clusterClient(t, url), "", quota.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	l.ServeVendor(wolkvoxtest.Options{Latency: time.Millisecond, TokenInfo: func(token string) (wolkvoxtest.Token, bool) {
		return wolkvoxtest.Token{Licenses: 1, Bad: strings.HasPrefix(token, "bad-")}, true
	}})
	const tokens, each = 60, 2
	p := Plan{Batch: batch, Rows: Many(tokens, each, func(i int) string {
		if i%2 == 0 {
			return fmt.Sprint("bad-", i)
		}
		return good(i)
	})}
	worker := l.Workers(1)[0]
	l.Bulk(p)
	if s, err := op.WaitSettled(t.Context(), batch, Patience); err != nil || s.HeldChains != tokens/2 {
		t.Fatalf("%+v, %v", s, err)
	}
	dies.Kill()

	// Each command answers for the rest, says that parts are missing, and exits with 1.
	partly := func(args ...string) Result {
		t.Helper()
		r := l.Enqueue(args...)
		if r.Exit != 1 || !strings.Contains(r.Stderr, "a part of Redis can't be read now") || r.Stdout == "" {
			t.Errorf("%s", r)
		}
		return r
	}
	var s control.Status
	l.JSON(partly("status", batch, "--json"), &s)
	if s.Unread == 0 || s.Settled || s.Total == 0 || s.Total >= tokens*each {
		t.Errorf("%+v", s)
	}
	partly("batches", "--json")
	partly("report", batch)
	// No more than that node's third is missing.
	var parts int
	_, text, _ := strings.Cut(partly("chains").Stderr, "(")
	if _, err := fmt.Sscanf(text, "%d of its 1024 parts", &parts); err != nil || parts < 300 || parts > 400 {
		t.Errorf("%d parts are away: %v", parts, err)
	}
	if rows := lines[control.QuotaRow](l, partly("quota", "--json")); len(rows) == 0 || len(rows) >= tokens {
		t.Errorf("%d tokens", len(rows))
	}
	held := lines[control.Chain](l, partly("chains", "--held", "--json"))
	if len(held) == 0 || len(held) >= tokens/2 {
		t.Errorf("%d chains are held", len(held))
	}

	// A decision reaches the other nodes, and their calls are made: the vendor refuses them again.
	before := l.Vendor.Account().Totals.Requests
	var did struct{ Count, Unread int }
	l.JSON(partly("retry", "--all", "--json"), &did)
	if did.Count != len(held) || did.Unread == 0 {
		t.Errorf("%+v, and %d are held", did, len(held))
	}
	l.Vendor.AwaitRequests(before+len(held), Patience)
	l.Await("all are held again", 0, func(ctx context.Context) (bool, string) {
		sum, err := op.HeldGroups(ctx, "")
		return err == nil && sum.Chains == len(held) && sum.Unread > 0, fmt.Sprintf("%+v, %v", sum, err)
	})

	dies.Restart()
	l.Await("the whole batch can be read again", 0, func(ctx context.Context) (bool, string) {
		s, err := op.Status(ctx, batch)
		return err == nil && s.Settled && s.Total == tokens*each && s.HeldChains == tokens/2, fmt.Sprintf("%+v, %v", s, err)
	})
	l.MustEnqueue("status", batch)
	if worker.Ended() {
		t.Error("the worker ended")
	}
}

func clusterClient(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	rdb, err := redisconn.Open(url, redisconn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}
