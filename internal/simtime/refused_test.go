package simtime

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"habilita/internal/operator"
	"habilita/internal/wolkvox/wolkvoxtest"
)

// day is a night and a day that the vendor spends refusing.
type day struct {
	zone, date string // it begins half an hour after the date does
	off        time.Duration
}

// TestRefusedForADay lets 26 hours pass in which the vendor refuses
//
//   - limit: since somebody else used up its quota early in the day; it goes on next day,
//   - night: since there is maintenance for 6 hours; it comes back after it,
//   - away: for 25 hours; it is given up after GIVE_UP_AFTER, and made when a person says so.
//
// All of them are asked gently meanwhile.
func TestRefusedForADay(t *testing.T) {
	cases := []day{{"America/Bogota", "2026-11-24", 48 * time.Hour}}
	if whole() {
		cases = append(cases,
			day{"America/Bogota", "2026-11-24", -48 * time.Hour},
			day{"America/Santiago", "2026-09-06", 0},              // 23 h, from 01:00
			day{"Europe/Madrid", "2026-03-29", 0},                 // 23 h
			day{"Europe/Madrid", "2026-10-25", 0},                 // 25 h
			day{"America/Havana", "2026-11-01", 10 * time.Minute}, // 25 h, midnight comes twice
		)
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s %s off %s", c.zone, c.date, c.off), func(t *testing.T) { testRefused(t, c) })
	}
}

func testRefused(t *testing.T, c day) {
	zone, err := time.LoadLocation(c.zone)
	if err != nil {
		t.Fatal(err)
	}
	begins, err := time.ParseInLocation(time.DateOnly, c.date, zone)
	if err != nil {
		t.Fatal(err)
	}
	start := begins.Add(90 * time.Minute)
	next := time.Date(start.Year(), start.Month(), start.Day()+1, 0, 0, 0, 0, zone)
	maintenance := func(from, until time.Time) func(r wolkvoxtest.Request) wolkvoxtest.Fault {
		return func(r wolkvoxtest.Request) wolkvoxtest.Fault {
			if r.Arrived.Before(from) || !r.Arrived.Before(until) {
				return wolkvoxtest.Fault{}
			}
			return wolkvoxtest.Fault{Kind: wolkvoxtest.Maintenance}
		}
	}
	night, away := maintenance(start, start.Add(6*time.Hour)), maintenance(start.Add(time.Minute), start.Add(25*time.Hour+time.Minute))
	x := World{
		Start: start, Off: c.off, Idle: 20 * time.Second, Workers: 1,
		Vendor: wolkvoxtest.Options{Latency: time.Second, Script: func(r wolkvoxtest.Request) wolkvoxtest.Fault {
			switch r.Token {
			case "night":
				return night(r)
			case "away":
				return away(r)
			}
			return wolkvoxtest.Fault{}
		}},
	}
	run(t, x, func(w *world) {
		w.vendor.AddUsed("limit", 980) // and we know nothing of it
		w.enqueue("limit", load{token: "limit", calls: 60, chains: 3})
		w.enqueue("night", load{token: "night", calls: 20, chains: 2})
		w.enqueue("away", load{token: "away", calls: 100, chains: 1})
		enough := w.await("away", "some done", 10*time.Minute, func(st operator.Status) bool { return st.Succeeded > 30 })

		w.await("night", "all done", 7*time.Hour, func(st operator.Status) bool { return st.Succeeded == 20 })
		w.settles("night", "maintenance", start.Add(6*time.Hour), 16*time.Minute)
		w.fewer("night", 2*6*8) // each of its chains, every 7.5 min on average

		w.await("limit", "all done", 26*time.Hour, func(st operator.Status) bool { return st.Succeeded == 60 })
		w.settles("limit", "the limit", next, time.Minute)
		w.fewer("limit", 16) // one for each chain, and then probes, at growing distances

		w.await("away", "given up", 27*time.Hour, func(st operator.Status) bool { return st.Settled })
		gaveUp := w.now().Sub(start)
		w.fewer("away", 25*12)
		for _, r := range w.report() {
			if r.State == "failed" && (!strings.Contains(r.Error, "given up: pushed back since "+start.UTC().Format("2006-01-02T15")) || !strings.Contains(r.Error, "MAINTENANCE")) {
				t.Errorf("given up, since %q", r.Error)
			}
		}
		st, err := w.operator.Status(w.ctx, "away")
		w.no(err)
		if st.Failed != 1 || st.HeldChains != 1 || st.Open != 100-1-enough.Succeeded || gaveUp < 24*time.Hour {
			t.Errorf("after %s: %+v", gaveUp, st)
		}
		w.until(start.Add(25*time.Hour + 2*time.Minute))
		if _, err := w.operator.Retry(w.ctx, operator.Selection{Batch: "away"}); err != nil {
			t.Error(err)
		}
		w.done(time.Hour)
	})
}

// settles checks that the first success after a time came within so long.
func (w *world) settles(token, what string, after time.Time, within time.Duration) {
	w.Helper()
	for _, r := range w.vendor.Account().RequestsOf(token) {
		if r.Success && r.Arrived.After(after) {
			if late := r.Arrived.Sub(after); late > within {
				w.Errorf("%s: the first success came %s after %s", token, late, what)
			}
			return
		}
	}
	w.Errorf("%s: no success after %s", token, what)
}

// fewer checks that a token's refused requests are few.
func (w *world) fewer(token string, most int) {
	w.Helper()
	t := w.vendor.Account().Of(token)
	if n := t.Requests - t.Successes; n > most || n == 0 {
		w.Errorf("%s: %d requests were refused, want from 1 to %d", token, n, most)
	}
	w.Logf("%s: %d requests, %d done", token, t.Requests, t.Successes)
}
