package engine

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"

	"habilita/internal/breaker"
	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/quota"
	"habilita/internal/testkit/redistest"
	"habilita/internal/wolkvox"
)

func TestBacklogTellsTheLongestWait(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	got := backlogOf([]ledger.Bucket{
		{Ready: 2, Since: now.Add(-7 * time.Second), Due: 1, NextDue: now.Add(time.Minute)},
		{Due: 3, NextDue: now.Add(-9 * time.Second), Held: 4},
		{Delayed: 5, NextDue: now.Add(time.Hour)},
	}, now)
	want := backlog{At: now.UnixMilli(), Ready: 2, Active: 4, Held: 4, Scheduled: 5, WaitedMS: 9000}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := backlogOf([]ledger.Bucket{{Due: 1, NextDue: now.Add(time.Second)}}, now); got.WaitedMS != 0 {
		t.Errorf("what is not due yet waits for %d ms", got.WaitedMS)
	}
}

// gathered are the samples of a registry by name and label values.
func gathered(t *testing.T, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			all[name] = valueOf(m)
		}
	}
	return all
}

func valueOf(m *dto.Metric) float64 {
	switch {
	case m.Gauge != nil:
		return m.GetGauge().GetValue()
	case m.Counter != nil:
		return m.GetCounter().GetValue()
	}
	return float64(m.GetHistogram().GetSampleCount())
}

// Every worker reports what the one that reconciles found. None reports an old reconciliation.
func TestEveryWorkerTellsTheBacklog(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		ctx := t.Context()
		m := newMeter()
		s := &reconciler{
			stack: &stack{rdb: b.Client, prefix: "habilita", clock: new(quota.Clock), registry: membership.New(b.Client, "habilita")},
			log:   zerolog.Nop(), meter: m, every: 5 * time.Second,
			breakers: breaker.NewMonitor(breaker.New(b.Client, ""), 0, time.Now, zerolog.Nop()),
		}
		for _, kind := range []string{membership.Worker, membership.Worker, membership.Producer} {
			if _, err := s.registry.Join(ctx, membership.Self(kind), nil); err != nil {
				t.Fatal(err)
			}
		}
		look := func() map[string]float64 {
			t.Helper()
			if err := s.look(ctx); err != nil {
				t.Fatal(err)
			}
			return gathered(t, m.own)
		}
		now := s.clock.Now()
		if got := look(); got["habilita_workers"] != 2 || has(got, "habilita_chains held") || has(got, "habilita_oldest_waiting_seconds") {
			t.Errorf("before any reconciliation: %v", got)
		}
		if err := s.note(ctx, backlogNote, backlog{At: now.UnixMilli(), Held: 3, WaitedMS: 4500}, 0); err != nil {
			t.Fatal(err)
		}
		if got := look(); got["habilita_chains held"] != 3 || got["habilita_oldest_waiting_seconds"] != 4.5 {
			t.Errorf("%v", got)
		}
		if err := s.note(ctx, backlogNote, backlog{At: now.Add(-time.Minute).UnixMilli(), Held: 3}, 0); err != nil {
			t.Fatal(err)
		}
		if got := look(); has(got, "habilita_chains held") || has(got, "habilita_oldest_waiting_seconds") {
			t.Errorf("an old reconciliation is told: %v", got)
		}
		if got := look(); has(got, "habilita_quota_drift") || has(got, "habilita_quota_synced_timestamp_seconds") {
			t.Errorf("before any sync: %v", got)
		}
		s.clock.Observe(now.UnixMilli())
		if err := s.note(ctx, syncNote, syncResult{s.clock.Now().UnixMilli(), 17}, syncKept); err != nil {
			t.Fatal(err)
		}
		if kept := s.rdb.PTTL(ctx, s.prefix+syncNote).Val(); kept <= 0 || kept > syncKept {
			t.Errorf("the drift is kept for %s, want %s", kept, syncKept)
		}
		if got := look(); got["habilita_quota_drift"] != 17 || got["habilita_quota_synced_timestamp_seconds"] < float64(now.Unix()) {
			t.Errorf("%v", got)
		}
	})
}

func has(all map[string]float64, name string) bool {
	_, ok := all[name]
	return ok
}

func TestRefusalsForLimits(t *testing.T) {
	m := newMeter()
	m.refused(nil, false)
	m.refused(errors.New("cut off"), false)
	m.refused(&wolkvox.RefusedError{Kind: wolkvox.BadToken}, false)
	m.refused(&wolkvox.RefusedError{Kind: wolkvox.TokenLimit}, true) // a gentle try
	m.refused(&wolkvox.RefusedError{Kind: wolkvox.TokenLimit}, false)
	m.refused(&wolkvox.RefusedError{Kind: wolkvox.SimultaneousLimit}, false)
	m.refused(&wolkvox.RefusedError{Kind: wolkvox.SimultaneousLimit}, false)
	got := gathered(t, m.own)
	if got["habilita_limit_refusals_total quota"] != 1 || got["habilita_limit_refusals_total slots"] != 2 {
		t.Errorf("%v", got)
	}
}

// labels are all labels that our metrics may have, with all their values: none grows with
// tokens, batches or servers.
var labels = map[string][]string{
	"outcome": {"succeeded", "refused", "failed", "unknown", "push_back", "not_sent", "unopenable"},
	"reason":  {"slots", "quota", "cooling", "midnight", "restart", "unknown", "server", ledger.ServerBusy},
	"state":   {"ready", "active", "held", "scheduled", "closed", "open", "half_open"},
	"limit":   {"slots", "quota"},
	"result":  {"made", "skipped", "missed", "failed"},
}

// checkLabels finds labels and values that are not known.
func checkLabels(t *testing.T, reg prometheus.Gatherer) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(labels[l.GetName()], l.GetValue()) {
					t.Errorf("%s has %s=%q; known are %v", f.GetName(), l.GetName(), l.GetValue(), slices.Sorted(maps.Keys(labels)))
				}
			}
		}
	}
}

// A worker at work has no other labels.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	w := openWorld(t, redistest.Shared(t).URL, testKey(t), func(o *WorkerOptions) { o.Metrics, o.ReconcileInterval = reg, 50*time.Millisecond })
	id := w.append("token-1", "a")
	w.begin()
	w.made("the call")
	for w.stateOf(id) != "idle" {
		if t.Context().Err() != nil {
			t.Fatal("the call does not end")
		}
	}
	if err := w.reconciler.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkLabels(t, reg)
	if got := gathered(t, reg); got["habilita_calls_total succeeded"] != 1 || got["habilita_worker_ready"] != 1 || got["habilita_workers"] != 1 {
		t.Errorf("%v", got)
	}
}
