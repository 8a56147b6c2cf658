package engine

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/wolkvox"
)

// An attempt leaves one log line, with all that is needed to find it again.
func TestOneLogLineAnAttempt(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	facts := attemptFacts{Now: now, NextDay: now.Add(time.Hour), MaxAttempts: 2, Spent: 1, GiveUpAfter: time.Hour, BackOff: 3 * time.Second}
	last := facts
	last.Spent = 2
	for _, c := range []struct {
		name                string
		err                 error
		facts               attemptFacts
		level, outcome, msg string
		code                any
		hasError, comesBack bool
	}{
		{name: "success", level: "info", outcome: "succeeded", msg: "call succeeded", code: "202"},
		{name: "bad token", err: &wolkvox.RefusedError{Kind: wolkvox.BadToken, Status: 403, Code: 403}, level: "warn",
			outcome: "refused", msg: "call given up", code: "403", hasError: true},
		{name: "5xx", err: &wolkvox.RefusedError{Kind: wolkvox.ServerFailure, Status: 502}, level: "warn",
			outcome: "failed", msg: "call comes back", code: "502", hasError: true, comesBack: true},
		{name: "spent", err: &wolkvox.UnreadableError{Status: 200}, facts: last, level: "warn",
			outcome: "failed", msg: "call given up", hasError: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.facts
			if f.MaxAttempts == 0 {
				f = facts
			}
			var out bytes.Buffer
			r := &runner{stack: &stack{clock: new(quota.Clock)}, meter: newMeter(), log: zerolog.New(&out)}
			r.clock.Observe(now.UnixMilli())
			a := ledger.Attempt{Chain: aToken + ":night", Batch: "b", Key: "=order-1", Server: "0042", Number: 3, Enqueued: now.Add(-time.Minute)}
			j := decideOutcome(wolkvox.Answer{Status: 202, Code: 202}, c.err, f)
			r.report(&a, &j, 1500*time.Millisecond)
			if n := strings.Count(out.String(), "\n"); n != 1 {
				t.Fatalf("%d lines: %s", n, out.String())
			}
			var line map[string]any
			if err := json.Unmarshal(out.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{
				"level": c.level, "call": "order-1", "chain": aToken + ":night", "batch": "b", "token_id": aToken, "server": "0042",
				"attempt": 3., "outcome": c.outcome, "took_ms": 1500., "message": c.msg, "code": c.code,
			}
			for k, v := range want {
				if line[k] != v {
					t.Errorf("%s is %v, want %v", k, line[k], v)
				}
			}
			if age, _ := line["age_ms"].(float64); age < 60_000 || age > 70_000 {
				t.Errorf("age_ms is %v", line["age_ms"])
			}
			if _, has := line["error"]; has != c.hasError {
				t.Errorf("error: %v", line["error"])
			}
			if v, has := line["retry_in_ms"]; has != c.comesBack || has && v != 3000. {
				t.Errorf("retry_in_ms: %v", v)
			}
		})
	}
}
