package wolkvoxtest_test

import (
	"slices"
	"testing"
	"time"

	"habilita/internal/testkit/wolkvoxtest"
)

func kinds(s wolkvoxtest.Script, requests ...wolkvoxtest.Record) []wolkvoxtest.Kind {
	out := make([]wolkvoxtest.Kind, len(requests))
	for i, r := range requests {
		out[i] = s(r).Kind
	}
	return out
}

func TestScripts(t *testing.T) {
	a, b := wolkvoxtest.Status500, wolkvoxtest.Cut
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	type req = wolkvoxtest.Record
	for name, tc := range map[string]struct {
		script   wolkvoxtest.Script
		requests []req
		want     []wolkvoxtest.Kind
	}{
		"always": {wolkvoxtest.Always(wolkvoxtest.Fault{Kind: a}), []req{{}, {}}, []wolkvoxtest.Kind{a, a}},
		"until": {
			wolkvoxtest.Until(noon, wolkvoxtest.Fault{Kind: a}),
			[]req{{Arrived: noon.Add(-1)}, {Arrived: noon}},
			[]wolkvoxtest.Kind{a, ""},
		},
		"each call": {
			wolkvoxtest.EachCall(wolkvoxtest.Faults(a, b)...),
			[]req{{CallNth: 1}, {CallNth: 1}, {CallNth: 2}, {CallNth: 3}, {}},
			[]wolkvoxtest.Kind{a, a, b, "", ""},
		},
		"first": {
			wolkvoxtest.First(wolkvoxtest.EachCall(wolkvoxtest.Fault{Kind: a}), wolkvoxtest.Always(wolkvoxtest.Fault{Kind: b})),
			[]req{{CallNth: 1}, {CallNth: 2}},
			[]wolkvoxtest.Kind{a, b},
		},
	} {
		if got := kinds(tc.script, tc.requests...); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	if f := wolkvoxtest.First()(req{}); f != (wolkvoxtest.Fault{}) {
		t.Errorf("first of none: %v", f)
	}
}

func TestRandom(t *testing.T) {
	const n = 20_000
	requests := make([]wolkvoxtest.Record, n)
	got := kinds(wolkvoxtest.Random(1, 0.25), requests...)
	count := map[wolkvoxtest.Kind]int{}
	for _, k := range got {
		count[k]++
	}
	if faults := n - count[""]; faults < n/4-n/50 || faults > n/4+n/50 {
		t.Errorf("%d faults of %d at a rate of 0.25", faults, n)
	}
	for _, k := range wolkvoxtest.Passing() {
		if count[k] == 0 {
			t.Errorf("never %s", k)
		}
	}
	if !slices.Equal(got, kinds(wolkvoxtest.Random(1, 0.25), requests...)) {
		t.Error("the same seed gave other faults")
	}
	only := kinds(wolkvoxtest.Random(2, 1, wolkvoxtest.Fault{Kind: wolkvoxtest.Cut}), requests[:10]...)
	for _, k := range only {
		if k != wolkvoxtest.Cut {
			t.Errorf("got %q", k)
		}
	}
}

// A script sees these fields of a request.
func TestScriptRequest(t *testing.T) {
	var seen []wolkvoxtest.Record
	v := start(t, wolkvoxtest.Options{Script: func(r wolkvoxtest.Record) wolkvoxtest.Fault {
		seen = append(seen, r)
		return wolkvoxtest.Fault{}
	}})
	for _, id := range []string{"a.1", "a.2", "b.c.7", "plain", "dots.x", "", "neg.-1"} {
		v.enable("t", id)
	}
	v.Close() // orders seen after all requests
	want := []wolkvoxtest.Record{
		{Call: "a", Attempt: 1, CallNth: 1}, {Call: "a", Attempt: 2, CallNth: 2}, {Call: "b.c", Attempt: 7, CallNth: 1},
		{Call: "plain", CallNth: 1}, {Call: "dots.x", CallNth: 1}, {}, {Call: "neg.-1", CallNth: 1},
	}
	for i, w := range want {
		g := seen[i]
		if g.Call != w.Call || g.Attempt != w.Attempt || g.CallNth != w.CallNth || g.TokenNth != i+1 || g.DayCount != i+1 ||
			g.InFlight != 1 || g.Server != "0001" || g.API != wolkvoxtest.EnableModule || g.Token != "t" || g.Arrived.IsZero() {
			t.Errorf("request %d: %+v, want %+v", i, g, w)
		}
	}
}
