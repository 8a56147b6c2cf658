package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/localrun"
	"habilita/internal/testkit/wolkvoxtest"
)

func TestExampleFile(t *testing.T) {
	plan, err := (&demo{err: io.Discard}).read()
	if err != nil {
		t.Fatal(err)
	}
	if plan.rejected > 0 || len(plan.calls) < 100 || plan.tokens() < 40 || plan.servers() < 12 {
		t.Errorf("%d calls, %d tokens, %d servers, %d", len(plan.calls), plan.tokens(), plan.servers(), plan.rejected)
	}
	special := map[string]bool{}
	for _, c := range plan.calls {
		if !strings.HasPrefix(c.Token, "demo-") {
			t.Errorf("line %d: its token could be taken for a real one", c.Line)
		}
		for _, prefix := range []string{badPrefix, usedPrefix} {
			if strings.HasPrefix(c.Token, prefix) {
				special[prefix] = true
			}
		}
	}
	if len(special) != 2 {
		t.Errorf("lacks a bad token or one out of quota: %v", special)
	}
}

// The default seed shows a newcomer every fault that there is.
func TestDefaultSeedDrawsEveryFault(t *testing.T) {
	plan, err := (&demo{err: io.Discard}).read()
	if err != nil {
		t.Fatal(err)
	}
	draw := func() map[wolkvoxtest.Kind]int {
		script, nth, kinds := demoFaults(defaultSeed), map[string]int{}, map[wolkvoxtest.Kind]int{}
		for _, c := range plan.calls {
			if strings.HasPrefix(c.Token, badPrefix) {
				continue
			}
			for try := 1; ; try++ {
				nth[c.Token]++
				f := script(wolkvoxtest.Record{Token: c.Token, TokenNth: nth[c.Token], CallNth: try})
				if f.Kind == wolkvoxtest.None {
					break
				}
				kinds[f.Kind]++
			}
		}
		return kinds
	}
	kinds, again := draw(), draw()
	for _, f := range demoPassing {
		if kinds[f.Kind] == 0 || kinds[f.Kind] != again[f.Kind] {
			t.Errorf("%s: %d, then %d", f.Kind, kinds[f.Kind], again[f.Kind])
		}
		if f.words == "" {
			t.Errorf("no words for %s", f.Kind)
		}
	}
}

// Slow work has to end before the lease of its slot, and after the call's time-out.
func TestDemoFaultsKeepToTheVendorsTime(t *testing.T) {
	for _, f := range demoPassing {
		longest := f.Delay + demoLatency + demoJitter
		if longest >= demoVendorTimeout || f.Kind == wolkvoxtest.Slow && f.Delay <= demoCallTimeout {
			t.Errorf("%s works up to %v", f.Kind, longest)
		}
	}
}

func TestDemoZoneIsFarFromMidnight(t *testing.T) {
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for at := start; at.Before(start.Add(24 * time.Hour)); at = at.Add(7 * time.Second) {
		zone := demoZone(at)
		day := at.In(zone).Format(time.DateOnly)
		for _, other := range []time.Duration{-30 * time.Second, 10 * time.Minute} {
			if at.Add(other).In(zone).Format(time.DateOnly) != day {
				t.Fatalf("%v in %v is about midnight", at, zone)
			}
		}
	}
}

func TestLost(t *testing.T) {
	record := func(id string, state ledger.State) control.CallRecord {
		return control.CallRecord{ID: id, State: state}
	}
	all := []outcome{{record: record("a", "succeeded")}, {record: record("b", "succeeded")}, {}}
	for i := range all {
		all[i].Token = "t"
	}
	did := func(o outcome) wolkvoxtest.Record {
		return wolkvoxtest.Record{Token: "t", Call: o.judged(), Success: true}
	}
	got := lost(all, wolkvoxtest.NewAccount(did(all[0])))
	want := []string{"1 call of the file can't be found any more", "1 call said to have succeeded that the vendor never did"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q", got)
	}
	all[2].record = record("c", "queued")
	if got := lost(all, wolkvoxtest.NewAccount(did(all[0]), did(all[1]))); got != nil {
		t.Errorf("got %q", got)
	}
}

func TestLongTableShowsTroubleFirst(t *testing.T) {
	var all []*operation
	for range maxOperations + 5 {
		all = append(all, &operation{tokenID: "aaaaaaaaaaaa", name: "fine", calls: 1, succeeded: 1, state: stateDone})
	}
	all = append(all, &operation{tokenID: "bbbbbbbbbbbb", name: "trouble", calls: 1, state: stateHeld})
	var out bytes.Buffer
	(&demo{out: &out}).printResults(all, localrun.State{})
	text := out.String()
	if !strings.Contains(text, "trouble") || !strings.Contains(text, "and 6 operations more") {
		t.Error(text)
	}
}

func TestProgressLine(t *testing.T) {
	s := localrun.State{
		Progress: control.Progress{Status: control.Status{Total: 4, Succeeded: 2, Open: 2, HeldChains: 1}},
		Outlook:  control.Outlook{Tomorrow: make([]control.Chain, 1)},
	}
	if got := progressLine(s); got != "2 of 4 calls succeeded, 1 held, 1 for tomorrow" {
		t.Errorf("%q", got)
	}
}
