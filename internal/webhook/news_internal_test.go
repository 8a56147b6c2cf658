package webhook

import (
	"slices"
	"testing"
	"time"

	"habilita/internal/breaker"
	"habilita/internal/control"
	"habilita/internal/schedule"
)

func TestParseTypes(t *testing.T) {
	if got, err := ParseTypes("server.up, batch.held"); err != nil || !slices.Equal(got, []Type{ServerUp, BatchHeld}) {
		t.Errorf("%v %v", got, err)
	}
	if got, err := ParseTypes(""); err != nil || !slices.Equal(got, Types()) {
		t.Errorf("of none: %v %v", got, err)
	}
	want := "want some of batch.settled, batch.held, batch.canary_held, schedule.failed, schedule.skipped, server.down, server.up, quota.used_up, call.finished"
	if _, err := ParseTypes("batch.made"); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestJudgeBatch(t *testing.T) {
	since := time.UnixMilli(1_800_000_000_000)
	now := since.Add(time.Hour)
	ms := now.UnixMilli()
	at := func(d time.Duration) control.Time { return control.Time{Time: now.Add(d)} }
	settled := control.Status{Total: 2, Settled: true, SettledAt: at(0)}
	held := func(n int) control.Status { return control.Status{Total: 9, HeldChains: n} }
	canary := control.Status{Total: 2, Canary: control.Canary{Tokens: 1, State: control.CanaryHeld}}
	for name, c := range map[string]struct {
		s    control.Status
		was  batchMark
		tell []Type
		now  batchMark
	}{
		"it runs":                         {s: control.Status{Total: 2, Open: 2}},
		"it has no call":                  {s: control.Status{Settled: true, SettledAt: at(0)}},
		"a part can't be read":            {s: control.Status{Total: 2, Unread: 1, HeldChains: 1}},
		"it has settled":                  {s: settled, tell: []Type{BatchSettled}, now: batchMark{settled: ms}},
		"that was told":                   {s: settled, was: batchMark{settled: ms}, now: batchMark{settled: ms}},
		"it goes on":                      {s: control.Status{Total: 2, Open: 1}, was: batchMark{settled: ms}, now: batchMark{settled: ms}},
		"it has settled again":            {s: settled, was: batchMark{settled: ms - 1}, tell: []Type{BatchSettled}, now: batchMark{settled: ms}},
		"it had settled before":           {s: control.Status{Total: 2, Settled: true, HeldChains: 1, SettledAt: at(-2 * time.Hour)}},
		"the first held chain":            {s: held(1), tell: []Type{BatchHeld}, now: batchMark{held: 1, heldAt: ms}},
		"another one, soon":               {s: held(2), was: batchMark{held: 1, heldAt: ms - 599_999}, now: batchMark{held: 1, heldAt: ms - 599_999}},
		"another one, after ten minutes":  {s: held(2), was: batchMark{held: 1, heldAt: ms - 600_000}, tell: []Type{BatchHeld}, now: batchMark{held: 2, heldAt: ms}},
		"none more":                       {s: held(2), was: batchMark{held: 2, heldAt: ms - 900_000}, now: batchMark{held: 2, heldAt: ms - 900_000}},
		"one was decided on":              {s: held(1), was: batchMark{held: 2, heldAt: ms - 900_000}, tell: []Type{""}, now: batchMark{held: 1, heldAt: ms - 900_000}},
		"a canary":                        {s: canary, tell: []Type{BatchCanaryHeld}, now: batchMark{canary: 1}},
		"a canary that was told":          {s: canary, was: batchMark{canary: 1}, now: batchMark{canary: 1}},
		"a canary that was decided on":    {s: control.Status{Total: 2}, was: batchMark{canary: 1}, tell: []Type{""}},
		"it has settled with held chains": {s: control.Status{Total: 2, HeldChains: 1, Settled: true, SettledAt: at(0)}, tell: []Type{BatchHeld, BatchSettled}, now: batchMark{settled: ms, held: 1, heldAt: ms}},
	} {
		t.Run(name, func(t *testing.T) {
			was := parseBatchMark(c.was.String())
			if was != c.was {
				t.Fatalf("a mark is read as %+v", was)
			}
			var tell []Type
			last := was
			for _, s := range newsOfBatch(c.s, was, now, since) {
				tell, last = append(tell, s.tell), s.now
			}
			if !slices.Equal(tell, c.tell) || last != c.now {
				t.Errorf("%q %+v, want %q %+v", tell, last, c.tell, c.now)
			}
		})
	}
}

func TestJudgeServer(t *testing.T) {
	at := time.UnixMilli(1_800_000_000_000)
	for name, c := range map[string]struct {
		state     breaker.State
		was, mark string
		tell      Type
	}{
		"it is well":             {state: breaker.Closed},
		"it goes down":           {state: breaker.Open, mark: "1800000000000", tell: ServerDown},
		"it is probed":           {state: breaker.HalfOpen, was: "1800000000000", mark: "1800000000000"},
		"it answers again":       {state: breaker.Closed, was: "1800000000000", tell: ServerUp},
		"it went down once more": {state: breaker.Open, was: "1700000000000", mark: "1800000000000", tell: ServerDown},
	} {
		t.Run(name, func(t *testing.T) {
			tell, mark := newsOfServer(breaker.ServerStatus{State: c.state, Since: at}, c.was)
			if tell != c.tell || mark != c.mark {
				t.Errorf("%q %q", tell, mark)
			}
		})
	}
}

func TestJudgeRuns(t *testing.T) {
	run := func(at int64, result string) schedule.Run { return schedule.Run{Finished: at, Result: result} }
	runs := []schedule.Run{
		run(5, schedule.ResultMade), run(4, schedule.ResultFailed), run(3, schedule.ResultMissed), run(2, schedule.ResultSkipped), run(1, schedule.ResultFailed),
	}
	var at []int64
	for _, r := range newsOfRuns(runs, 1) {
		at = append(at, r.Finished)
	}
	if !slices.Equal(at, []int64{2, 3, 4}) {
		t.Errorf("%v", at)
	}
}

func TestJudgeQuota(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	ms := now.UnixMilli()
	for name, c := range map[string]struct {
		tokens int
		was    quotaMark
		tell   bool
	}{
		"the first token":        {tokens: 1, tell: true},
		"the same one":           {tokens: 1, was: quotaMark{7, 1, ms - 900_000}},
		"another one, soon":      {tokens: 2, was: quotaMark{7, 1, ms - 599_999}},
		"another one, later":     {tokens: 2, was: quotaMark{7, 1, ms - 600_000}, tell: true},
		"the first of a new day": {tokens: 1, was: quotaMark{6, 9, ms - 1}, tell: true},
	} {
		t.Run(name, func(t *testing.T) {
			tell, next := newsOfQuota(c.tokens, 7, parseQuotaMark(c.was.String()), now)
			if tell != c.tell || tell && next != (quotaMark{7, c.tokens, ms}) {
				t.Errorf("%v %+v", tell, next)
			}
		})
	}
}
