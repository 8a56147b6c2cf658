package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/testkit/wolkvoxtest"
)

// With time-outs, resets and endless 500s, the head gets MAX_ATTEMPTS requests and no more, the vendor
// never has two of a chain, and other tokens go on.
func TestEndlessFailures(t *testing.T) {
	l := New(t)
	l.Set("MAX_ATTEMPTS", "3", "CALL_TIMEOUT", "400ms", "VENDOR_TIMEOUT", "900ms", "SLOT_MARGIN", "600ms", "SHUTDOWN_TIMEOUT", "5s")
	faults := map[string]wolkvoxtest.Fault{
		"slow":         {Kind: wolkvoxtest.Slow, Delay: 800 * time.Millisecond}, // longer than we wait, within the vendor's limit
		"reset-before": {Kind: wolkvoxtest.ResetBefore},
		"reset-after":  {Kind: wolkvoxtest.ResetAfter},
		"cut":          {Kind: wolkvoxtest.Cut},
		"500":          {Kind: wolkvoxtest.Status500},
		"502":          {Kind: wolkvoxtest.Status502},
		"html":         {Kind: wolkvoxtest.HTML},
		"empty":        {Kind: wolkvoxtest.Empty},
		"oversized":    {Kind: wolkvoxtest.Oversized},
		"redirect":     {Kind: wolkvoxtest.Redirect},
	}
	l.ServeVendor(wolkvoxtest.Options{Latency: 2 * time.Millisecond, Script: func(r wolkvoxtest.Record) wolkvoxtest.Fault {
		return faults[r.Token]
	}})
	p := Plan{Batch: "endless"}
	// Each chain has a server of its own, so that no server counts as down.
	servers := 0
	server := func() string { servers++; return fmt.Sprintf("%04d", servers) }
	for range 3 {
		servers = 0
		for _, token := range slices.Sorted(maps.Keys(faults)) {
			p.Rows = append(p.Rows, Row{Server: server(), Token: token})
		}
		for _, chain := range []string{"second", "third", "fourth"} {
			p.Rows = append(p.Rows, Row{Server: server(), Token: "slow", Chain: chain})
		}
	}
	for range 200 {
		p.Rows = append(p.Rows, Row{Server: "0099", Token: "fine"})
	}
	l.Workers(2)
	l.Bulk(p)
	// The others do not wait for the failing ones.
	l.AwaitStatus(p.Batch, "others done", 20*time.Second, func(s control.Status) bool { return s.Succeeded >= 200 })
	l.AwaitSettled(p.Batch, 0)
	v := l.MustKeep(Terms{}, p)
	t.Logf("%+v", v)
	heads := len(faults) + 3
	if v.Failed != heads || v.Open != 2*heads || v.Succeeded != 200 {
		t.Errorf("%+v", v)
	}
	a := l.Vendor.Account()
	for token := range faults {
		want := 3
		if token == "slow" {
			want *= 4
		}
		if got := a.Of(token).Requests; got != want {
			t.Errorf("%s: %d requests, want %d", token, got, want)
		}
	}
	if paths := a.Accused(wolkvoxtest.ViolationPath); len(paths) > 0 {
		t.Errorf("redirects were followed: %v", paths)
	}
	for _, c := range l.Report(p.Batch) {
		if c.State == "failed" && (c.Attempts != 3 || !strings.Contains(c.Error, "3 attempts")) {
			t.Errorf("%+v", c)
		}
	}
}

// A head that the vendor refuses for good holds its chain; retry, skip and cancel do what they say.
func TestHeldChainsAndDecisions(t *testing.T) {
	l := New(t)
	const each = 4
	v := l.ServeVendor(wolkvoxtest.Options{TokenInfo: func(token string) (wolkvoxtest.Token, bool) {
		return wolkvoxtest.Token{}, !strings.HasPrefix(token, "bad")
	}})
	p := Plan{Batch: "held", Rows: Many(8, each, func(i int) string { return fmt.Sprint([]string{"bad-", "good-"}[i%2], i) })}
	l.Bulk(p)
	l.Workers(2)
	st := l.AwaitSettled(p.Batch, 0)
	want := func(what string, st, w control.Status) {
		t.Helper()
		w.Batch, w.CreatedAt, w.SettledAt, w.Policy, w.Total = st.Batch, st.CreatedAt, st.SettledAt, st.Policy, 8*each
		w.Complete = true
		if st.Blocked != 0 { // the command does not tell it
			w.Blocked = w.Open // all that is open stands behind a held head
		}
		if st != w {
			t.Errorf("%s: %+v, want %+v", what, st, w)
		}
	}
	want("held", st, control.Status{Succeeded: 16, Failed: 4, Open: 12, HeldChains: 4, Settled: true})
	for i := range 4 {
		if n := v.Account().Of(fmt.Sprint("bad-", 2*i)).Requests; n != 1 {
			t.Errorf("bad-%d: %d requests, want the head's one", 2*i, n)
		}
	}
	held := l.Chains(true)
	if len(held) != 4 {
		t.Fatalf("%+v", held)
	}
	// Retry a chain whose token is still bad: one more request, and it is held again.
	did := decide(l, "retry", "--chain", held[0].ID)
	if did != 1 {
		t.Errorf("retried %d", did)
	}
	l.Vendor.AwaitRequests(16+4+1, 0)
	want("retried in vain", l.AwaitSettled(p.Batch, 0), control.Status{Succeeded: 16, Failed: 4, Open: 12, HeldChains: 4, Settled: true})
	// Skip a chain: its head no longer counts as failed; the next call is tried, and refused.
	decide(l, "skip", "--chain", held[1].ID)
	want("skipped", l.AwaitSettled(p.Batch, 0), control.Status{Succeeded: 16, Failed: 4, Skipped: 1, Open: 11, HeldChains: 4, Settled: true})
	// Cancel a chain: nothing of it is left.
	if did := decide(l, "cancel", "--chain", held[2].ID); did != each {
		t.Errorf("cancelled %d, want %d", did, each)
	}
	want("cancelled", l.Status(p.Batch), control.Status{Succeeded: 16, Failed: 3, Skipped: 1, Cancelled: 4, Open: 8, HeldChains: 3, Settled: true})
	before := v.Account().Totals.Requests
	if before != 16+4+1+1 {
		t.Errorf("%d requests", before)
	}
	// The tokens are corrected: a retry of the batch makes all calls that are left.
	for i := range 4 {
		v.Sim.SetToken(fmt.Sprint("bad-", 2*i), wolkvoxtest.Token{})
	}
	if did := decide(l, "retry", "--batch", p.Batch); did != 3 {
		t.Errorf("retried %d, want 3", did)
	}
	want("all right", l.AwaitSettled(p.Batch, 0), control.Status{Succeeded: 16 + 3 + 8, Skipped: 1, Cancelled: 4, Settled: true})
	l.MustKeep(Terms{}, p)
	for _, args := range [][]string{{"retry", "--chain", held[0].ID}, {"skip", "--chain", held[0].ID}, {"cancel", "--chain", held[0].ID}} {
		if r := l.Enqueue(args...); r.Exit != 1 || !strings.Contains(r.Stderr, "enqueue chains") {
			t.Errorf("%s", r)
		}
	}
	if n := decide(l, "cancel", "--batch", p.Batch); n != 0 {
		t.Errorf("cancelled %d of a batch that is done", n)
	}
}

// The policies skip and cancel need no person; --batch acts only on a batch's calls.
func TestPolicies(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=0", "--bad-token=bad-")
	rows := Many(4, 3, func(i int) string { return fmt.Sprint([]string{"bad-", "good-"}[i%2], i) })
	skip, cancel := Plan{Batch: "skip", Rows: rows}, Plan{Batch: "cancel", Rows: rows}
	l.Bulk(skip, "--on-failure", "skip")
	l.Bulk(cancel, "--on-failure", "cancel")
	l.Workers(1)
	if st := l.AwaitSettled("skip", 0); st.Succeeded != 6 || st.Failed != 6 || st.Open+st.HeldChains != 0 {
		t.Errorf("%+v", st)
	}
	if st := l.AwaitSettled("cancel", 0); st.Succeeded != 6 || st.Failed != 2 || st.Cancelled != 4 || st.Open+st.HeldChains != 0 {
		t.Errorf("%+v", st)
	}
	l.MustKeep(Terms{}, skip, cancel)
	file := l.File("again.csv", skip.CSV())
	if r := l.Enqueue("bulk", file, "--batch", "skip", "--on-failure", "hold"); r.Exit == 0 || !strings.Contains(r.Stderr, "skip") {
		t.Errorf("another policy was taken: %s", r)
	}
}

// decide runs retry, skip or cancel and returns how many it acted on.
func decide(l *Lab, args ...string) int {
	l.TB.Helper()
	var did struct {
		Action string
		Count  int
	}
	l.JSON(l.MustEnqueue(append(args, "--json")...), &did)
	return did.Count
}
