package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/testkit/wolkvoxtest"
)

// Six named chains of one token run on two workers. Whenever a request ends another one comes, and there are never three.
func TestSixChainsShareTwoSlots(t *testing.T) {
	l := New(t)
	v := l.ServeVendor(wolkvoxtest.Options{})
	v.Sim.Hold()
	const chains, each = 6, 12
	p := Plan{Batch: "six"}
	for i := range chains * each {
		p.Rows = append(p.Rows, Row{Token: "shared", Chain: fmt.Sprint("chain-", i%chains), Licenses: 1})
	}
	l.Workers(2)
	l.Bulk(p)
	// While more calls are left than one chain has, at least two chains have calls.
	for ended := range (chains - 1) * each {
		v.AwaitRequests(ended+2, 0)
		v.Sim.ReleaseOne()
	}
	v.Sim.Release()
	l.AwaitSettled(p.Batch, 0)
	if got := l.MustKeep(Terms{}, p); got.MaxInFlight != 2 || got.Succeeded != chains*each {
		t.Errorf("%+v", got)
	}
}

// Of 1,050 calls for a token of one licence, 1,000 are made and the rest wait for tomorrow.
func TestQuotaOfADay(t *testing.T) {
	l := New(t)
	l.Set("QUOTA_TIMEZONE", noonZone())
	l.StartVendor("--latency=0", "--timezone="+noonZone())
	p := Plan{Batch: "quota", Rows: Many(1, 1050, good)}
	l.Bulk(p)
	l.Workers(2)
	l.AwaitStatus(p.Batch, "1,000 done", 0, func(s control.Status) bool { return s.Succeeded >= 1000 })
	awaitReason(l, "quota")
	v := l.MustKeep(Terms{Open: true}, p)
	if v.Requests != 1000 || v.Succeeded != 1000 || v.Open != 50 || v.Failed != 0 {
		t.Errorf("%+v", v)
	}
	chains := l.Chains(false)
	if len(chains) != 1 || chains[0].Behind != 49 || chains[0].Until.IsZero() || !strings.Contains(chains[0].Why, "tomorrow") {
		t.Errorf("chains: %+v", chains)
	}
	if r := l.MustEnqueue("chains"); !strings.Contains(r.Stdout, "tomorrow") || !strings.Contains(r.Stdout, "until") {
		t.Errorf("%s", r)
	}
	rows := lines[control.QuotaRow](l, l.MustEnqueue("quota", "--json"))
	if len(rows) != 1 || rows[0].Used != 1000 || rows[0].Quota != 1000 {
		t.Errorf("quota: %+v", rows)
	}
}

// If the vendor says TOKEN LIMIT EXCEEDED earlier than our count does, the worker believes it; other
// tokens go on.
func TestVendorsCountIsBelieved(t *testing.T) {
	l := New(t)
	noon, err := time.LoadLocation(noonZone())
	if err != nil {
		t.Fatal(err)
	}
	l.Set("QUOTA_TIMEZONE", noonZone())
	l.ServeVendor(wolkvoxtest.Options{Location: noon, Tokens: map[string]wolkvoxtest.Token{"used": {Used: 980}}})
	p := Plan{Batch: "used"}
	for range 100 {
		p.Rows = append(p.Rows, Row{Token: "used", Licenses: 1}, Row{Token: "other", Licenses: 1})
	}
	// The token has several chains: none of them asks again either.
	for i := range 5 {
		p.Rows = append(p.Rows, Row{Token: "used", Chain: fmt.Sprint("more-", i)})
	}
	l.Bulk(p)
	l.Workers(2)
	awaitReason(l, "cooling")
	l.AwaitStatus(p.Batch, "120 done", 0, func(s control.Status) bool { return s.Succeeded >= 120 })
	// More than one reconciliation later still nobody has asked: the next probe is minutes away.
	quiet := l.Vendor.Account().Of("used").Requests
	never(l, 8*time.Second, func() bool { return l.Vendor.Account().Of("used").Requests != quiet })
	a := l.Vendor.Account()
	if got := a.Of("used"); got.Successes != 20 || got.Requests > 22 {
		t.Errorf("%+v: want 20 and at most one refusal a slot", got)
	}
	v := l.MustKeep(Terms{Open: true}, p)
	if v.Failed != 0 || v.Succeeded != 120 {
		t.Errorf("%+v", v)
	}
	for _, c := range l.Chains(false) {
		if c.Reason != "cooling" && c.Reason != "push-back" || c.Until.IsZero() {
			t.Errorf("chain: %+v", c)
		}
	}
}

// awaitReason waits until a chain waits for that reason.
func awaitReason(l *Lab, reason string) {
	l.TB.Helper()
	l.Await("a chain that waits for "+reason, 0, func(ctx context.Context) (bool, string) {
		last := ""
		for c, err := range l.Operator().Chains(ctx, false) {
			if err != nil {
				return false, err.Error()
			}
			if c.Reason == reason {
				return true, ""
			}
			last = c.State + " " + c.Reason
		}
		return false, last
	})
}

// never fails the test if something happens within a time.
func never(l *Lab, d time.Duration, happened func() bool) {
	l.TB.Helper()
	over := time.After(d)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			if happened() {
				l.TB.Error("it happened")
				return
			}
		}
	}
}
