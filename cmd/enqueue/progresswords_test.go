package main

import (
	"testing"
	"time"

	"habilita/internal/control"
)

func TestProgressOf(t *testing.T) {
	eta := 90_061.0
	p := control.Progress{
		Status: control.Status{Total: 5000, Succeeded: 10, Open: 4990, HeldChains: 1}, Rate: 1234.4, ETASeconds: &eta, Sampled: true,
		Waiting: []control.Waiting{
			{Reason: "quota", Chains: 12, Until: control.Time{Time: time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)}},
			{Reason: "slots", Chains: 2}, {Reason: "held", Chains: 1},
		},
		LastErrors: []string{"500 oops", "timeout"},
	}
	want := "10 of 5,000 succeeded, 4,990 open, 1 chain held; 1,234/s, 1d1h1m1s to go; " +
		"waiting (sample): quota 12 (until 2026-11-24 05:00:00 +00), slots 2; last errors: 500 oops | timeout"
	if got := progressOf(p, time.UTC); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := progressOf(control.Progress{Status: control.Status{Total: 2, Open: 2}}, nil); got != "0 of 2 succeeded, 2 open" {
		t.Errorf("got %s", got)
	}
}
