package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A bulk file of 2,000 rows over 500 tokens, with every passing fault and some bad tokens.
func TestBulkWithFaults(t *testing.T) {
	l := New(t)
	const seed, tokens, each = 20261123, 500, 4
	t.Logf("seed %d", seed)
	l.StartVendor("--latency=5ms", "--jitter=10ms", "--fault-rate=0.08", "--bad-token=bad-", fmt.Sprint("--seed=", seed),
		"--faults=500,502,503,429,simultaneous,maintenance,html,cut,empty,garbage,bom,wrong-type,reset-before,reset-after,drip:30ms")
	isBad := func(i int) bool { return i%25 == 7 }
	p := Plan{Batch: "faults", Rows: Many(tokens, each, func(i int) string {
		if isBad(i) {
			return "bad-" + good(i)
		}
		return good(i)
	})}
	sum := l.Bulk(p)
	if sum.Enqueued != tokens*each || sum.Tokens != tokens || sum.Rejected+sum.Duplicates != 0 {
		t.Fatalf("%+v", sum)
	}
	l.Workers(2, "CONCURRENCY", "32")
	l.AwaitSettled(p.Batch, 90*time.Second)
	v := l.MustKeep(Terms{}, p)
	t.Logf("%+v", v)
	if v.Failed != 20 || v.Open != 20*(each-1) || v.Succeeded != (tokens-20)*each {
		t.Errorf("want 20 held chains and all else done: %+v", v)
	}
	for _, c := range l.Chains(true) {
		if !strings.Contains(strings.ToUpper(c.Why), "VALIDATE TOKEN") || c.Behind != each-1 || !c.Held() {
			t.Errorf("held: %+v", c)
		}
	}
	// Enqueueing the same file again adds nothing and revives nothing.
	if again := l.Bulk(p); again.Duplicates != tokens*each || again.Enqueued != 0 {
		t.Errorf("again: %+v", again)
	}
	if st := l.Status(p.Batch); !st.Settled || st.HeldChains != 20 || st.Total != tokens*each {
		t.Errorf("%+v", st)
	}
}

// Rows that can't be calls are reported with line and field; the others are enqueued.
func TestBadRows(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=0")
	lines := []string{
		"server,token,licenses,ref",
		"0001,secret-token-a,1,row-0000000",
		"0001",                                // 3: no token
		"https://example.com,secret-b,1,x",    // 4: no server of the vendor's
		"0001,,1,x",                           // 5: no token
		"0001,secret-c,-3,x",                  // 6: licences
		`0001,"secret-d,1,x`,                  // 7: a quote that is not closed
		"0001," + strings.Repeat("y", 10<<20), // 8: 10 MB
		"0001,secret-e,1,\xff\xfe",            // 9: no UTF-8
		"0001,secret-f f,1,x",                 // 10: white space in the token
		"0001,secret-g,1,x,surplus",           // 11: surplus field
		"0002,secret-token-z,1,row-0000001",
	}
	file := l.File("bad.csv", strings.Join(lines, "\n")+"\n")
	rejects := filepath.Join(l.Dir, "rejects.csv")
	r := l.Enqueue("bulk", file, "--batch", "bad", "--json", "--rejects", rejects, "--progress", "none")
	if r.Exit != 3 {
		t.Errorf("exit %d, want 3", r.Exit)
	}
	var sum Summary
	l.JSON(r, &sum)
	if sum.Enqueued != 2 || sum.Rejected != 9 || sum.Rows != 11 {
		t.Errorf("%+v", sum)
	}
	for line, field := range map[int]string{
		3: "token", 4: "server", 5: "token", 6: "licenses", 7: "", 8: "", 9: "", 10: "token", 11: "",
	} {
		want := fmt.Sprintf("%s:%d: %s", file, line, field)
		if field != "" {
			want += ":"
		}
		if !strings.Contains(r.Stderr, want) {
			t.Errorf("no %q", want)
		}
	}
	t.Logf("%.2000s", r.Stderr)
	for _, secret := range []string{"secret-", strings.Repeat("y", 40)} {
		if strings.Contains(r.Stderr+r.Stdout, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	info, err := os.Stat(rejects)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() < 64<<10 {
		t.Errorf("rejects: %v %v", info, err)
	}
	l.Workers(1)
	l.AwaitSettled("bad", 0)
	if st := l.Status("bad"); st.Succeeded != 2 || st.Total != 2 {
		t.Errorf("%+v", st)
	}
}

// No byte of a token gets out, whatever happens to its calls.
func TestCanary(t *testing.T) {
	l := New(t)
	const canary, single, refused = "canary-7f3Qx9TzLm2Wv8Kp4RbN", "canary-1aJq5ZyUo6Hd3Ge0XcVt", "bad-canary-5rFsWm9BkYp2Nz7"
	l.StartVendor("--latency=5ms", "--bad-token=bad-", "--fault-rate=0.3", "--seed=4")
	l.Set("LOG_LEVEL", "trace", "MAX_ATTEMPTS", "3")
	p := Plan{Batch: "canary", Rows: []Row{{Token: canary}, {Token: canary}, {Token: refused}, {Token: refused}}}
	text := p.CSV() + "0001,\"" + canary + ",,,broken,\n" + "nowhere," + canary + ",,,broken,\n"
	file := l.File("canary.csv", text)
	w := l.Workers(1)[0]
	r := l.Enqueue("bulk", file, "--batch", "canary", "--rejects", filepath.Join(l.Dir, "rejects.csv"))
	if r.Exit != 3 {
		t.Errorf("%s", r)
	}
	r = l.EnqueueWith([]string{"WOLKVOX_TOKEN", single}, "", "call", "--server", "1", "--batch", "canary", "--id", "one", "--wait", "--json")
	if r.Exit != 0 && r.Exit != 3 {
		t.Errorf("%s", r)
	}
	l.EnqueueWith(nil, single+" and more", "call", "--server", "1", "--token-stdin") // no token
	l.AwaitSettled("canary", 0)
	for _, args := range [][]string{
		{"report", "canary"}, {"status", "canary"}, {"chains"}, {"chains", "--held"}, {"quota"}, {"quota", "--json"},
		{"batches"}, {"show", "one"}, {"retry", "--batch", "canary"},
	} {
		if r := l.Enqueue(args...); r.Exit != 0 {
			t.Errorf("%s", r)
		}
	}
	for _, path := range []string{"/metrics", "/readyz", "/healthz"} {
		if status, _ := w.Get(path); status != 200 {
			t.Errorf("%s: %d", path, status)
		}
	}
	l.AwaitSettled("canary", 0)
	l.Redis.Client().BgSave(t.Context())
	w.Term()
	if code := w.Wait(Patience); code != 0 {
		t.Errorf("exit %d", code)
	}
	l.Redis.Restart()
	for _, token := range []string{canary, single, refused} {
		for _, leak := range l.Leaks(token, file, filepath.Join(l.Dir, "rejects.csv")) {
			t.Error(leak)
		}
		if len(l.Leaks(token)) == 0 && token != single {
			t.Error("the search finds nothing, not even in the file that was given")
		}
	}
}

// If two processes disagree on a limit, the second refuses to start.
func TestDisagreement(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=0")
	w := l.Workers(1)[0]
	other := l.StartWorker("TOKEN_SLOTS", "1")
	if code := other.Wait(Patience); code != 2 || !strings.Contains(other.Log(), "TOKEN_SLOTS") {
		t.Errorf("exit %d\n%s", code, other.Tail(5))
	}
	t.Log(other.Tail(1))
	if w.Ended() {
		t.Error("the first one ended too")
	}
	// Once no other process lives, the limits may change.
	w.Term()
	w.Wait(Patience)
	l.StartWorker("TOKEN_SLOTS", "1").Ready()
}
