package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/testkit/wolkvoxtest"
)

// runOf writes the plan's file for `enqueue run` and returns its path.
func (l *Lab) runOf(p Plan) string { return l.File(p.Batch+".csv", p.CSV()) }

// entry is what the tests read of a line of the write-ahead log.
type entry struct {
	T string
	G *struct {
		C, K, N string
		A       int
	}
	O *struct{ K, L string }
}

// ledgerOf reads a write-ahead log from the disk: the requests that were granted and those that may be
// at the vendor, by "<call>.<attempt>", and the calls that succeeded.
func ledgerOf(t *testing.T, file string) (granted map[string]bool, unknown, succeeded map[string]bool) {
	t.Helper()
	raw, err := os.ReadFile(file + ".journal")
	if err != nil {
		t.Fatal(err)
	}
	granted, unknown, succeeded = map[string]bool{}, map[string]bool{}, map[string]bool{}
	requests := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		var e entry
		_, text, _ := strings.Cut(line, " ")
		if json.Unmarshal([]byte(text), &e) != nil || e.G == nil {
			continue
		}
		key := strings.SplitN(e.G.C, ":", 2)[0] + e.G.K
		switch e.T {
		case "grant":
			requests[e.G.N] = fmt.Sprintf("%s.%d", key, e.G.A)
			granted[requests[e.G.N]] = true
			unknown[requests[e.G.N]] = true
		case "end":
			if e.O.L != "keep" {
				delete(unknown, requests[e.G.N])
			}
			if e.O.K == "done" {
				succeeded[key] = true
			}
		}
	}
	return granted, unknown, succeeded
}

// inLedger returns a request's name in ledgerOf: its id without the batch's name.
func inLedger(id string) string {
	_, rest, _ := strings.Cut(id, "-")
	return rest
}

// mustRun is `enqueue run` that must end with a status.
func (l *Lab) mustRun(status int, args ...string) Result {
	l.TB.Helper()
	r := l.Enqueue(append([]string{"run"}, args...)...)
	if r.Exit != status {
		l.TB.Fatalf("want exit status %d\n%s", status, r)
	}
	return r
}

func (l *Lab) keptLocally(t *testing.T, terms Terms, p Plan, file string) Verdict {
	t.Helper()
	v := l.JudgeLocal(terms, p, file)
	for _, b := range v.Broken {
		t.Error(b)
	}
	return v
}

// The whole job runs from nothing but a file, with faults. Running it again makes no call.
func TestRunWithoutRedis(t *testing.T) {
	l := NewLocal(t)
	l.StartVendor("--latency=10ms", "--jitter=10ms", "--fault-rate=0.1", "--faults=503,reset-after,garbage", "--licenses=5")
	p := Plan{Batch: "plain", Rows: Chained(3, Many(20, 12, good))}
	file := l.runOf(p)
	l.mustRun(0, file)
	v := l.keptLocally(t, Terms{}, p, file)
	if v.Succeeded != len(p.Rows) || v.Extra > v.Unknown {
		t.Errorf("%+v", v)
	}
	began := time.Now()
	r := l.mustRun(0, file, "--json")
	var end struct {
		Resumed bool
		Status  control.Status
	}
	l.JSON(r, &end)
	if !end.Resumed || end.Status.Succeeded != len(p.Rows) || l.Vendor.Account().Totals.Requests != v.Requests {
		t.Errorf("again: %+v\n%s", l.Vendor.Account().Totals, r)
	}
	if n := len(l.Results(file)); n != len(p.Rows) {
		t.Errorf("%d results after the second start", n)
	}
	t.Logf("%+v; again in %s", v, time.Since(began).Round(time.Millisecond))
	for _, leak := range l.Leaks("token-0007", file) {
		t.Error(leak)
	}
}

// The run is killed by -9 at random moments. No call that succeeded is made again, and the write-ahead
// log knows every request that was sent. Slots and order hold over the crashes, and no more is made
// again than was unknown.
func TestRunSurvivesKills(t *testing.T) {
	l := NewLocal(t)
	l.StartVendor("--latency=30ms", "--jitter=40ms", "--fault-rate=0.03", "--faults=503", "--licenses=5")
	p := Plan{Batch: "kills", Rows: Chained(3, Many(20, 24, good))}
	file := l.runOf(p)
	lost := 0
	for i := range 4 {
		proc := l.StartEnqueue("run", file, "--progress", "none")
		l.Vendor.AwaitRequests(80*(i+1)+rand.IntN(40), 0)
		proc.Kill()
		granted, unknown, succeeded := ledgerOf(t, file)
		lost = len(unknown) // of all kills: the write-ahead log keeps them
		before := map[string]int{}
		for _, r := range l.Vendor.Account().Records {
			if !granted[inLedger(r.RequestID)] {
				t.Errorf("kill %d: request %s was sent and is not in the journal", i, r.RequestID)
			}
			before[inLedger(r.Call)]++
		}
		t.Logf("kill %d: %d granted, %d unknown, %d succeeded", i, len(granted), len(unknown), len(succeeded))
		if i == 1 { // a crash of the machine may leave half a record
			tear(t, file)
		}
		defer func() {
			after := map[string]int{}
			for _, r := range l.Vendor.Account().Records {
				after[inLedger(r.Call)]++
			}
			for call := range succeeded {
				if after[call] > before[call] {
					t.Errorf("%s had succeeded before kill %d and was called again", call, i)
				}
			}
		}()
	}
	l.mustRun(0, file)
	v := l.keptLocally(t, Terms{Lost: lost}, p, file)
	t.Logf("%+v, %d unknown by the journal", v, lost)
	if v.Succeeded != len(p.Rows) || v.Extra > lost || v.MaxInFlight > 2 {
		t.Errorf("%+v", v)
	}
}

// tear appends half a record.
func tear(t *testing.T, file string) {
	t.Helper()
	f, err := os.OpenFile(file+".journal", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(`0badc0de {"t":"grant","at":17955117`)
	if cerr := f.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
}

// For requests in flight at a crash, slots and chains stay taken in the next process while the
// vendor still works on them.
func TestRunKeepsSlotsOverACrash(t *testing.T) {
	l := NewLocal(t)
	l.Set("VENDOR_TIMEOUT", "2s")
	l.StartVendor("--latency=1900ms")
	p := Plan{Batch: "slots", Rows: Chained(4, Many(1, 4, good))}
	file := l.runOf(p)
	proc := l.StartEnqueue("run", file)
	l.Vendor.AwaitRequests(2, 0)
	proc.Kill()
	l.Set("CALL_TIMEOUT", "5s") // the vendor takes longer than the first time-out
	l.mustRun(0, file)
	got := l.keptLocally(t, Terms{Lost: 2}, p, file)
	t.Logf("%+v", got)
	if got.Succeeded != 4 || got.Requests != 6 || got.MaxInFlight > 2 {
		t.Errorf("%+v", got)
	}
}

// A licence allows its thousand and no more, over a kill and several starts on one day.
func TestRunKeepsTheQuotaOverACrash(t *testing.T) {
	l := NewLocal(t)
	l.Set("QUOTA_TIMEZONE", noonZone())
	l.StartVendor("--latency=0", "--timezone="+noonZone())
	p := Plan{Batch: "quota", Rows: Chained(2, Many(1, 1030, good))}
	file := l.runOf(p)
	proc := l.StartEnqueue("run", file, "--today")
	l.Vendor.AwaitRequests(400, 0)
	proc.Kill()
	granted, _, _ := ledgerOf(t, file)
	unsent := len(granted) - l.Vendor.Account().Totals.Requests
	for range 2 {
		r := l.mustRun(3, file, "--today")
		if !strings.Contains(r.Stderr, "today's quota is used up for what is left, until ") || !strings.Contains(r.Stderr, "enqueue run") {
			t.Errorf("%s", r)
		}
		a := l.Vendor.Account()
		if n := a.Totals.Requests; n != 1000-unsent || len(a.OverQuota()) > 0 {
			t.Errorf("%d requests, %d were granted and not sent; %v", n, unsent, a.OverQuota())
		}
	}
}

// noonZone returns a time zone in which it is about noon.
func noonZone() string {
	h := time.Now().UTC().Hour() - 12
	if h >= 0 {
		return fmt.Sprintf("Etc/GMT+%d", h)
	}
	return fmt.Sprintf("Etc/GMT%d", h)
}

// On SIGTERM requests in flight end, nothing is unknown, and the next start goes on. Meanwhile
// another process is refused.
func TestRunStopsInOrder(t *testing.T) {
	l := NewLocal(t)
	l.Set("CALL_TIMEOUT", Patience.String(), "VENDOR_TIMEOUT", Patience.String(), "SHUTDOWN_TIMEOUT", "75s")
	v := l.ServeVendor(wolkvoxtest.Options{Latency: 20 * time.Millisecond})
	v.Sim.Hold()
	p := Plan{Batch: "term", Rows: Chained(3, Many(20, 20, good))}
	file := l.runOf(p)
	proc := l.StartEnqueue("run", file, "--progress", "plain")
	v.AwaitRequests(2*20, 0) // both slots of each token
	if r := l.mustRun(1, file); !strings.Contains(r.Stderr, "another process works on") {
		t.Errorf("%s", r)
	}
	proc.Term()
	v.Sim.Release()
	if code := proc.Wait(Patience); code != 1 || !strings.Contains(proc.Log(), "enqueue: stopped: interrupted (") ||
		!strings.Contains(proc.Log(), "resume: enqueue run ") {
		t.Errorf("exit %d\n%s", code, proc.Tail(10))
	}
	if _, unknown, _ := ledgerOf(t, file); len(unknown) > 0 {
		t.Errorf("%d outcomes are unknown", len(unknown))
	}
	l.mustRun(0, file)
	if got := l.keptLocally(t, Terms{}, p, file); got.Requests != len(p.Rows) || got.Succeeded != len(p.Rows) {
		t.Errorf("%+v", got)
	}
}

// A call that was given up stays so until a retry is asked for.
func TestRunGivesUpAndGoesOn(t *testing.T) {
	l := NewLocal(t)
	l.StartVendor("--latency=0", "--bad-token=bad-")
	p := Plan{Batch: "bad", Rows: []Row{{Token: "bad-1"}, {Token: "bad-1"}, {Token: "bad-1"}, {Token: "good-1"}}}
	file := l.runOf(p)
	r := l.mustRun(3, file)
	if !strings.Contains(r.Stderr, "PLEASE VALIDATE TOKEN") || !strings.Contains(r.Stderr, "correct the token of 1 call in ") {
		t.Errorf("%s", r)
	}
	for _, c := range []struct {
		flags    []string
		requests int
		states   string
	}{
		{nil, 2, "failed succeeded"},
		{[]string{"--retry-failed"}, 3, "failed succeeded"},
		{[]string{"--skip-failed"}, 4, "failed skipped succeeded"},
		{[]string{"--skip-failed"}, 5, "failed skipped skipped succeeded"},
		{[]string{"--retry-failed"}, 6, "failed skipped skipped succeeded"},
		{nil, 6, "failed skipped skipped succeeded"},
	} {
		l.mustRun(3, append([]string{file}, c.flags...)...)
		if n := l.Vendor.Account().Totals.Requests; n != c.requests {
			t.Errorf("%v: %d requests", c.flags, n)
		}
		have := map[string]int{}
		for _, r := range l.Results(file) {
			have[string(r.State)]++
		}
		want := map[string]int{}
		for s := range strings.FieldsSeq(c.states) {
			want[s]++
		}
		if fmt.Sprint(have) != fmt.Sprint(want) {
			t.Errorf("%v: %v", c.flags, have)
		}
	}
}
