package wolkvoxtest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"habilita/internal/testkit/wolkvoxtest"
)

func TestSlots(t *testing.T) {
	v := start(t, wolkvoxtest.Options{})
	v.Hold()
	one := v.enableAsync(t.Context(), "0001", "t", "c1.1")
	v.waitInFlight(1)
	two := v.enableAsync(t.Context(), "0002", "t", "c2.1") // another server, the same token
	v.waitInFlight(2)
	if g := v.enable("t", "c3.1"); g.status != 403 || !strings.Contains(g.msg(t), "SIMULTANEOUS REQUESTS PER TOKEN (2)") {
		t.Fatalf("third: %d %s", g.status, g.body)
	}
	other := v.enableAsync(t.Context(), "0001", "u", "c4.1") // another token
	v.waitInFlight(3)
	if v.Held() != 3 {
		t.Errorf("held %d, want 3", v.Held())
	}

	// When they end, there is room again.
	v.Release()
	for _, c := range []<-chan got{one, two, other} {
		if g := <-c; g.status != 202 {
			t.Errorf("got %d %s %v", g.status, g.body, g.err)
		}
	}
	if g := v.enable("t", "c3.2"); g.status != 202 {
		t.Fatalf("third again: %d %s %v", g.status, g.body, g.err)
	}

	a := v.Account()
	if a.Totals.MaxInFlight != 3 || a.Of("t").MaxInFlight != 3 || a.Of("u").MaxInFlight != 1 || a.Totals.InFlight != 0 {
		t.Errorf("in flight: %+v, t %+v, u %+v", a.Totals, a.Of("t"), a.Of("u"))
	}
	if vs := a.OverSlots(); len(vs) != 1 || vs[0].Call != "c3" || vs[0].TokenHash != wolkvoxtest.TokenHash("t") {
		t.Errorf("over slots: %v", vs)
	}
	if vs := a.OverQuota(); len(vs) != 0 {
		t.Errorf("over quota: %v", vs)
	}
}

// Of many requests at once, exactly SlotLimit get in.
func TestSlotsUnderContention(t *testing.T) {
	v := start(t, wolkvoxtest.Options{})
	v.Hold()
	const n = 40
	var wg sync.WaitGroup
	answers := make(chan got, n)
	for i := range n {
		wg.Go(func() { answers <- v.enable("t", fmt.Sprintf("c%d.1", i)) })
	}
	v.wait(func(a wolkvoxtest.Account) bool { return a.Totals.Requests == n })
	v.Release()
	wg.Wait()
	close(answers)
	count := map[int]int{}
	for g := range answers {
		count[g.status]++
	}
	if count[202] != wolkvoxtest.SlotLimit || count[403] != n-wolkvoxtest.SlotLimit {
		t.Errorf("answers: %v", count)
	}
	if got := len(v.Account().OverSlots()); got != n-wolkvoxtest.SlotLimit {
		t.Errorf("over slots: %d", got)
	}
}

func TestQuota(t *testing.T) {
	v := start(t, wolkvoxtest.Options{Tokens: map[string]wolkvoxtest.Token{
		"small": {Quota: 3}, "used": {Quota: 3, Used: 2}, "licensed": {Licenses: 2, Used: 1999},
	}})
	status := func(token string) int { return v.enable(token, "").status }
	for i, want := range []int{202, 202, 202, 403, 403} {
		if got := status("small"); got != want {
			t.Errorf("small, request %d: %d, want %d", i+1, got, want)
		}
	}
	if vs := v.Account().OverQuota(); len(vs) != 2 {
		t.Errorf("over quota: %v", vs)
	}
	// What others used makes the refusal come earlier, but is nobody's violation here.
	for i, want := range []int{202, 403} {
		if got := status("used"); got != want {
			t.Errorf("used, request %d: %d, want %d", i+1, got, want)
		}
	}
	if status("licensed") != 202 || status("licensed") != 403 {
		t.Error("licensed: want one more of 2000")
	}
	if vs := v.Account().OverQuota(); len(vs) != 2 {
		t.Errorf("over quota: %v", vs)
	}
	if g := v.enable("small", ""); g.msg(t) != "TOKEN LIMIT EXCEEDED" {
		t.Errorf("msg %q", g.msg(t))
	}
}

// Refused and failed requests use the quota too.
func TestEveryRequestCounts(t *testing.T) {
	v := start(t, wolkvoxtest.Options{
		Tokens: map[string]wolkvoxtest.Token{"t": {Quota: 4}},
		Script: inTurn(wolkvoxtest.Status500, wolkvoxtest.ResetBefore),
	})
	v.enable("t", "")
	v.enable("t", "")
	v.send(context.Background(), http.MethodPost, v.url("0001", enablePath), "t", "")
	if g := v.enable("t", ""); g.status != 202 {
		t.Fatalf("fourth: %d", g.status)
	}
	if g := v.enable("t", ""); g.status != 403 {
		t.Fatalf("fifth: %d", g.status)
	}
}

func TestMidnight(t *testing.T) {
	bogota := time.FixedZone("", -5*3600)
	c := &clock{t: time.Date(2026, 11, 23, 23, 59, 59, 999e6, bogota)}
	v := start(t, wolkvoxtest.Options{
		Now:    c.now,
		Tokens: map[string]wolkvoxtest.Token{"t": {Quota: 2, Used: 1}},
	})
	if a, b := v.enable("t", ""), v.enable("t", ""); a.status != 202 || b.status != 403 {
		t.Fatalf("before midnight: %d %d", a.status, b.status)
	}
	c.set(time.Date(2026, 11, 24, 0, 0, 0, 0, bogota))
	for i, want := range []int{202, 202, 403} {
		if g := v.enable("t", ""); g.status != want {
			t.Errorf("after midnight, request %d: %d, want %d", i+1, g.status, want)
		}
	}
	rs := v.Account().Records
	if rs[1].Day != "2026-11-23" || rs[1].DayCount != 2 || rs[2].Day != "2026-11-24" || rs[2].DayCount != 1 {
		t.Errorf("days: %+v %+v", rs[1], rs[2])
	}
	if vs := v.Account().OverQuota(); len(vs) != 1 {
		t.Errorf("over quota: %v", vs)
	}
}

func TestDayOfAnotherZone(t *testing.T) {
	c := &clock{t: time.Date(2026, 11, 24, 0, 30, 0, 0, time.UTC)}
	for zone, want := range map[*time.Location]string{nil: "2026-11-23", time.UTC: "2026-11-24"} {
		v := start(t, wolkvoxtest.Options{Now: c.now, Location: zone})
		v.enable("t", "")
		if got := v.Account().Records[0].Day; got != want {
			t.Errorf("day %s, want %s", got, want)
		}
	}
}

// The vendor goes on working when its caller has gone: the slot stays taken, and the work is done.
func TestWorkGoesOnWithoutTheCaller(t *testing.T) {
	v := start(t, wolkvoxtest.Options{})
	v.Hold()
	ctx, cancel := context.WithCancel(t.Context())
	one, two := v.enableAsync(ctx, "0001", "t", "c1.1"), v.enableAsync(ctx, "0001", "t", "c2.1")
	v.waitInFlight(2)
	cancel()
	for _, c := range []<-chan got{one, two} {
		if g := <-c; g.err == nil {
			t.Fatalf("a cancelled request was answered: %d", g.status)
		}
	}
	if g := v.enable("t", "c3.1"); g.status != 403 {
		t.Fatalf("with two at work: %d", g.status)
	}
	v.Release()
	v.waitInFlight(0)
	if a := v.Account(); a.Totals.Successes != 2 || a.Totals.MaxInFlight != 3 {
		t.Errorf("totals: %+v", a.Totals)
	}
}

func TestGoneCaller(t *testing.T) {
	sim := wolkvoxtest.New(wolkvoxtest.Options{})
	defer sim.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := httptest.NewRequestWithContext(ctx, http.MethodPut, "http://wv0001.example"+enablePath, nil)
	req.Header.Set("wolkvox-token", "t")
	sim.ServeHTTP(httptest.NewRecorder(), req)
	a := sim.Account()
	if r := a.Records[0]; !r.Gone || !r.Success || !r.Unknown() || a.Totals.Gone != 1 {
		t.Errorf("record: %+v", r)
	}
}

func TestCountersOnly(t *testing.T) {
	var nths []int
	v := start(t, wolkvoxtest.Options{
		CountersOnly: true,
		Tokens:       map[string]wolkvoxtest.Token{"t": {Quota: 2}},
		Script: func(r wolkvoxtest.Record) wolkvoxtest.Fault {
			nths = append(nths, r.CallNth)
			return wolkvoxtest.Fault{}
		},
	})
	for i := range 3 {
		v.enable("t", fmt.Sprintf("c.%d", i+1))
	}
	a := v.Account()
	if a.Totals.Requests != 3 || a.Totals.Successes != 2 || a.Of("t").OverQuota != 1 || a.Totals.InFlight != 0 {
		t.Errorf("totals: %+v", a.Totals)
	}
	if len(a.Records) != 1 || len(a.OverQuota()) != 1 || a.Records[0].EndSeq == 0 {
		t.Errorf("records: %+v", a.Records)
	}
	if len(nths) != 2 || nths[1] != 2 {
		t.Errorf("CallNth %v, want the attempts", nths)
	}
	for _, vs := range [][]wolkvoxtest.Violation{
		a.OrderViolations(nil), a.OverlapViolations(nil), a.DuplicateSuccesses(), a.Extra(), a.Unexplained(), a.RepeatedIDs(),
	} {
		if len(vs) != 1 || vs[0].Kind != "unjudged" {
			t.Errorf("judged what it has not kept: %v", vs)
		}
	}
	if s := a.Summarize(nil); !s.Unjudged || len(s.Broken()) == 0 {
		t.Errorf("summary: %+v", s)
	}
}
