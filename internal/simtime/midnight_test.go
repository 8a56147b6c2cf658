package simtime

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/quota"
	"habilita/internal/testkit/wolkvoxtest"
)

// A real quota of one licence under load: 1,000 are done on the first day, the rest on
// the next. Nothing was counted beforehand.
func TestQuotaRunsOut(t *testing.T) {
	at, calls := midnights[0].at(t), 1100
	if whole() {
		calls = 1900
	}
	run(t, World{Start: at.Add(-10 * time.Minute), Vendor: wolkvoxtest.Options{Latency: 300 * time.Millisecond, Jitter: 200 * time.Millisecond}}, func(w *world) {
		w.enqueue("all", load{token: "a", calls: calls, chains: 2}, load{token: "b", calls: 50})
		w.await("all", "the quota used", 8*time.Minute, func(st control.Status) bool { return st.Succeeded == 1050 })
		w.done(time.Hour)
		w.onlyNeeded()
		if n := days(w.vendor.Account())["2026-11-23 a"]; n != 1000 {
			t.Errorf("%d requests on the first day", n)
		}
	})
}

// midnight is a change of the vendor's day.
type midnight struct {
	zone, day string // the day that begins
	begins    string // its first instant on the wall
}

func (m midnight) at(t *testing.T) time.Time {
	t.Helper()
	zone, err := time.LoadLocation(m.zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", m.day+" "+m.begins, zone)
	if err != nil {
		t.Fatal(err)
	}
	if at.Day() == at.Add(-time.Millisecond).Day() {
		t.Fatalf("no day begins at %s", at)
	}
	return at
}

// midnights: clocks that stay; clocks that change at midnight, forward (there is none) and
// back (the hour before comes twice); clocks that change some hours later.
var midnights = []midnight{
	{"America/Bogota", "2026-11-24", "00:00"},
	{"America/Sao_Paulo", "2018-11-04", "01:00"}, // no midnight
	{"America/Sao_Paulo", "2019-02-17", "00:00"}, // 23:00 came twice
	{"America/Santiago", "2026-09-06", "01:00"},  // no midnight
	{"America/Santiago", "2026-04-05", "00:00"},  // 23:00 came twice
	{"America/Havana", "2026-03-08", "01:00"},    // no midnight
	{"America/Havana", "2026-11-01", "00:00"},    // midnight comes twice, an hour apart
	{"Europe/Madrid", "2026-03-29", "00:00"},     // a day of 23 h begins
	{"Europe/Madrid", "2026-03-30", "00:00"},     // and ends
	{"Europe/Madrid", "2026-10-25", "00:00"},     // a day of 25 h begins
	{"Europe/Madrid", "2026-10-26", "00:00"},     // and ends
	{"Pacific/Apia", "2011-12-31", "00:00"},      // a date is left out
}

// off are the errors of the workers' clocks: how far they are behind.
var off = []time.Duration{0, 10 * time.Minute, -10 * time.Minute, 48 * time.Hour, -48 * time.Hour}

// skews are how far the vendor's clock is ahead of that of Redis.
var skews = []time.Duration{0, 2 * time.Second, -2 * time.Second}

func TestMidnight(t *testing.T) {
	if whole() {
		for _, m := range midnights {
			for _, off := range off {
				for _, skew := range skews {
					testMidnight(t, m, off, skew)
				}
			}
		}
		return
	}
	testMidnight(t, midnights[1], 48*time.Hour, 2*time.Second)
	testMidnight(t, midnights[4], -10*time.Minute, -2*time.Second)
}

// testMidnight lets the day change under load, with these tokens:
//
//   - a: its quota is used up before; it goes on with the new day, at once and at full speed,
//   - b: in full flow all the time, until the new day's quota is used up too; then it
//     gets a second licence,
//   - c: slow requests, up to the vendor's limit and beyond our patience,
//   - d: calls that are scheduled for the new day.
//
// If the vendor's clock is ahead, each request also needs 4.5 s to be written, so a request
// that is granted before midnight arrives after it. If it is behind, workers look for tasks
// often, so any call that could be granted too early is.
func testMidnight(t *testing.T, m midnight, off, skew time.Duration) {
	name := strings.ReplaceAll(m.zone, "/", "-")
	t.Run(fmt.Sprintf("%s %s off %s skew %s", name, m.day, off, skew), func(t *testing.T) {
		at := m.at(t)
		x := World{
			Start: at.Add(-3 * time.Minute), Off: off, Skew: skew,
			Options: engine.WorkerOptions{CallTimeout: 30 * time.Second},
			Vendor:  wolkvoxtest.Options{Latency: 1200 * time.Millisecond, Jitter: 800 * time.Millisecond, Script: slow("c"), Seed: uint64(skew)},
		}
		switch {
		case skew > 0:
			x.Dial, x.Vendor.Latency, x.Vendor.Jitter = 4500*time.Millisecond, 100*time.Millisecond, time.Second
		case skew < 0:
			x.Idle = 500 * time.Millisecond
		}
		run(t, x, func(w *world) {
			w.use("a", 950, x.Start)
			w.use("b", 500, x.Start)
			w.use("b", 880, at)
			w.use("c", 975, x.Start)
			w.use("c", 950, at)
			w.enqueue("day", load{token: "a", calls: 90, chains: 2}, load{token: "c", calls: 16, chains: 2},
				load{token: "d", calls: 4, at: at.Add(20 * time.Second)})
			w.enqueue("flow", load{token: "b", calls: 330, chains: 2})
			w.await("flow", "out of quota", 20*time.Minute, func(st control.Status) bool { return w.quotaUsed("b") && st.Open < 300 })
			w.countedTwice("b", at, 880)
			w.vendor.SetToken("b", wolkvoxtest.Token{Licenses: 2})
			w.enqueue("more", load{token: "b", calls: 1, licenses: 2})
			w.done(time.Hour)
			w.onlyNeeded()
			for _, r := range w.vendor.Account().RequestsOf("d") {
				if early := at.Add(20 * time.Second).Sub(r.Arrived.Add(-skew)); early > 0 {
					t.Errorf("a scheduled call came %s early", early)
				}
			}
		})
	})
}

// slow makes a token's requests take up to as long as the vendor allows.
func slow(token string) wolkvoxtest.Script {
	times := []time.Duration{25, 0, 57, 10, 45, 28, 0}
	return func(r wolkvoxtest.Record) wolkvoxtest.Fault {
		if r.Token != token {
			return wolkvoxtest.Fault{}
		}
		return wolkvoxtest.Fault{Kind: wolkvoxtest.Slow, Delay: max(time.Millisecond, times[r.TokenNth%len(times)]*time.Second)}
	}
}

// quotaUsed reports whether a token is out of today's quota, by our count.
func (w *world) quotaUsed(token string) bool {
	w.Helper()
	l, err := quota.New(w.rdb, quota.Settings{Location: w.zone})
	w.no(err)
	u, err := l.Peek(w.ctx, w.names.Name(token))
	w.no(err)
	return u.Left() == 0
}

// countedTwice checks that requests which the vendor may have worked on at midnight, those
// of the last minute before it, are counted on the new day too. others is how many of the
// new day's quota other programs had used.
func (w *world) countedTwice(token string, at time.Time, others int) {
	w.Helper()
	crossing, later := 0, 0
	for _, r := range w.vendor.Account().RequestsOf(token) {
		switch arrived := r.Arrived.Add(-w.Skew); {
		case !arrived.Before(at):
			later++
		case at.Sub(arrived) <= time.Minute:
			crossing++
		}
	}
	if crossing == 0 || later == 0 || crossing+later+others > 1000 {
		w.Errorf("%d requests in the minute before midnight, %d after it, %d of others: more than 1000 in all", crossing, later, others)
	}
	w.Logf("%d requests in the minute before midnight, %d after it, %d of others", crossing, later, others)
}

// onlyNeeded checks that the vendor refused nothing: it counts what others used too.
func (w *world) onlyNeeded() {
	w.Helper()
	for _, r := range w.vendor.Account().Records {
		if r.Status >= 300 {
			w.Errorf("request %d, the %d. of %s for %s: status %d at %s", r.Seq, r.DayCount, r.Day, r.Token, r.Status, r.Arrived)
		}
	}
}
