package simtime

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/testkit/wolkvoxtest"
)

// refusal is a time in which the vendor refuses.
type refusal struct {
	zone, date string        // of its beginning
	begins     time.Duration // after the day's beginning, by the clock on the wall
	night      time.Duration // of maintenance
	giveUp     time.Duration // GIVE_UP_AFTER
	off        time.Duration // as World.Off
}

// TestRefused lets hours pass in which the vendor refuses these tokens:
//
//   - limit: because somebody else used up its quota; it goes on with the next day,
//   - night: because of maintenance; it comes back afterwards,
//   - away: for up to an hour longer than GIVE_UP_AFTER; it is given up, and made
//     when a person says so.
//
// All of them are asked gently meanwhile. The whole matrix has the real hours.
func TestRefused(t *testing.T) {
	const early, night, day = 90 * time.Minute, 6 * time.Hour, 24 * time.Hour
	cases := []refusal{{"America/Bogota", "2026-11-24", 23*time.Hour + 40*time.Minute, 10 * time.Minute, 30 * time.Minute, 48 * time.Hour}}
	if whole() {
		cases = append(cases,
			refusal{"America/Bogota", "2026-11-24", 21*time.Hour + 30*time.Minute, time.Hour, 2 * time.Hour, 48 * time.Hour},
			refusal{"America/Bogota", "2026-11-24", early, night, day, -48 * time.Hour},
			refusal{"America/Santiago", "2026-09-06", early, night, day, 0},              // 23 h, from 01:00
			refusal{"Europe/Madrid", "2026-03-29", early, night, day, 0},                 // 23 h
			refusal{"Europe/Madrid", "2026-10-25", 30 * time.Minute, night, day, 0},      // 25 h: 24.5 h from the first refusal to the next day
			refusal{"America/Havana", "2026-11-01", early, night, day, 10 * time.Minute}, // 25 h
		)
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s %s off %s", strings.ReplaceAll(c.zone, "/", "-"), c.date, c.off), c.test)
	}
}

func (c refusal) test(t *testing.T) {
	zone, err := time.LoadLocation(c.zone)
	if err != nil {
		t.Fatal(err)
	}
	date, err := time.Parse(time.DateOnly, c.date)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(date.Year(), date.Month(), date.Day(), 0, int(c.begins.Minutes()), 0, 0, zone)
	next := time.Date(date.Year(), date.Month(), date.Day()+1, 0, 0, 0, 0, zone)
	// It is given up at the first try after GiveUpAfter, which comes up to 15 min later.
	over := start.Add(c.giveUp + min(time.Hour, max(c.giveUp/2, 20*time.Minute)))
	night, away := maintenance(start, start.Add(c.night)), maintenance(start.Add(time.Minute), over)
	x := World{
		Start: start, Off: c.off, Idle: 20 * time.Second, Workers: 1,
		Options: engine.WorkerOptions{GiveUpAfter: c.giveUp},
		Vendor: wolkvoxtest.Options{Latency: time.Second, Script: func(r wolkvoxtest.Record) wolkvoxtest.Fault {
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
		w.enqueue("away", load{token: "away", calls: 100})
		w.until(over.Add(-time.Minute))

		w.done(0, "night", "limit")
		w.goesOn("night", start.Add(c.night), 16*time.Minute)
		w.goesOn("limit", next, time.Minute)
		perHour := 12 // for each chain: every 7.5 min on average, once the back-off has grown
		hours := func(d time.Duration) int { return int(math.Ceil(d.Hours())) }
		w.refusals("night", 2*(10+perHour*hours(c.night)))
		w.refusals("away", 10+perHour*hours(c.giveUp))
		w.refusals("limit", 14) // one for each slot, and then probes at growing distances
		w.gaveUp("away", "given up: pushed back since "+start.Add(time.Minute).UTC().Format("2006-01-02T15:04"))

		w.until(over.Add(time.Minute))
		if n, err := w.operator.Retry(w.ctx, control.Selection{Batch: "away"}); n != 1 || err != nil {
			t.Errorf("retry of %d chains: %v", n, err)
		}
		w.done(time.Hour)
	})
}

// maintenance refuses between two times.
func maintenance(from, until time.Time) wolkvoxtest.Script {
	return func(r wolkvoxtest.Record) wolkvoxtest.Fault {
		if r.Arrived.Before(from) || !r.Arrived.Before(until) {
			return wolkvoxtest.Fault{}
		}
		return wolkvoxtest.Fault{Kind: wolkvoxtest.Maintenance}
	}
}

// goesOn checks that the first success after a time came within a duration.
func (w *world) goesOn(token string, after time.Time, within time.Duration) {
	w.Helper()
	for _, r := range w.vendor.Account().RequestsOf(token) {
		if r.Success && !r.Arrived.Before(after) {
			if late := r.Arrived.Sub(after); late > within {
				w.Errorf("%s: the first success came %s after %s", token, late, after)
			}
			return
		}
	}
	w.Errorf("%s: no success after %s", token, after)
}

// refusals checks that a token's refused requests are few.
func (w *world) refusals(token string, most int) {
	w.Helper()
	t := w.vendor.Account().Of(token)
	n := t.Requests - t.Successes
	if n > most || n == 0 {
		w.Errorf("%s: %d requests were refused, want from 1 to %d", token, n, most)
	}
	w.Logf("%s: %d requests done, %d refused", token, t.Successes, n)
}

// gaveUp checks that a call that was given up for that reason, not before GiveUpAfter,
// holds the batch's only chain.
func (w *world) gaveUp(batch, reason string) {
	w.Helper()
	st, err := w.operator.Status(w.ctx, batch)
	w.no(err)
	if st.Failed != 1 || st.HeldChains != 1 || !st.Settled || st.Open+st.Succeeded+1 != st.Total {
		w.Errorf("%+v", st)
	}
	for _, r := range w.report() {
		if r.State != "failed" {
			continue
		}
		after := r.FinishedAt.Sub(w.Start.Add(time.Minute)) // when the vendor went away
		if !strings.Contains(r.Error, reason) || !strings.Contains(r.Error, "MAINTENANCE") || after < w.Options.GiveUpAfter {
			w.Errorf("%s: given up after %s, since %q", r.ID, after, r.Error)
		}
		w.Logf("given up after %s: %s", after, r.Error)
	}
}
