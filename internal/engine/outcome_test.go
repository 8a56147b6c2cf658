package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/vault"
	"habilita/internal/wolkvox"
)

// Every row of the table of outcomes.
func TestJudge(t *testing.T) {
	now := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	facts := attemptFacts{
		Now: now, NextDay: now.Add(14 * time.Hour), Spent: 3, MaxAttempts: 12, GiveUpAfter: 24 * time.Hour, BackOff: 7 * time.Second,
	}
	with := func(change func(*attemptFacts)) attemptFacts {
		f := facts
		change(&f)
		return f
	}
	last := with(func(f *attemptFacts) { f.Spent = 12 })
	beyond := with(func(f *attemptFacts) { f.Spent = 13 })
	probe := with(func(f *attemptFacts) { f.Probe = true })
	stopping := with(func(f *attemptFacts) { f.Stopping = true })
	recent := with(func(f *attemptFacts) { f.FirstPushBack = now.Add(-24*time.Hour + time.Millisecond) })
	old := with(func(f *attemptFacts) { f.FirstPushBack = now.Add(-24 * time.Hour) })
	refused := func(k wolkvox.Kind, status int) error {
		return &wolkvox.RefusedError{Kind: k, Status: status, Code: status, Msg: "said"}
	}
	after := func(k wolkvox.Kind, d time.Duration) error {
		return &wolkvox.RefusedError{Kind: k, Status: 429, RetryAfter: d}
	}
	unknown := &wolkvox.UnknownOutcomeError{Cause: context.DeadlineExceeded}
	notSent := &wolkvox.NotSentError{Cause: errors.New("refused")}
	unreadable := &wolkvox.UnreadableError{Status: 200, Reason: "no JSON"}
	gone := &unopenableError{&vault.KeyGoneError{ID: "k7"}}

	type want struct {
		kind  ledger.Kind
		slot  ledger.Slot
		name  string
		delay time.Duration
		cool  time.Duration // after now; 0: none
		probe time.Duration
		lift  bool
	}
	const b = 7 * time.Second
	for _, tc := range []struct {
		name  string
		err   error
		facts attemptFacts
		want  want
	}{
		{"success", nil, facts, want{kind: ledger.Done, slot: ledger.Release, name: outcomeSucceeded}},
		{"success of a probe", nil, probe, want{kind: ledger.Done, slot: ledger.Release, name: outcomeSucceeded, lift: true}},
		{"success of the last attempt", nil, last, want{kind: ledger.Done, slot: ledger.Release, name: outcomeSucceeded}},

		{"bad token", refused(wolkvox.BadToken, 403), facts, want{kind: ledger.GiveUp, slot: ledger.Release, name: outcomeRefused}},
		{"400", refused(wolkvox.BadRequest, 400), facts, want{kind: ledger.GiveUp, slot: ledger.Release, name: outcomeRefused}},
		{"401", refused(wolkvox.MissingToken, 401), facts, want{kind: ledger.GiveUp, slot: ledger.Release, name: outcomeRefused}},
		{"404", refused(wolkvox.NotFound, 404), facts, want{kind: ledger.GiveUp, slot: ledger.Release, name: outcomeRefused}},
		{"405", refused(wolkvox.MethodNotAllowed, 405), facts, want{kind: ledger.GiveUp, slot: ledger.Release, name: outcomeRefused}},

		{"500", refused(wolkvox.ServerFailure, 500), facts, want{kind: ledger.Fail, slot: ledger.Release, name: outcomeFailed, delay: b}},
		{"500, the last", refused(wolkvox.ServerFailure, 500), last, want{kind: ledger.GiveUp, slot: ledger.Release, name: outcomeFailed, delay: b}},
		{"500, beyond the last", refused(wolkvox.ServerFailure, 500), beyond, want{kind: ledger.GiveUp, slot: ledger.Release, name: outcomeFailed, delay: b}},
		{"503 with Retry-After", after(wolkvox.ServerFailure, time.Minute), facts, want{kind: ledger.Fail, slot: ledger.Release, name: outcomeFailed, delay: time.Minute}},
		{"unreadable", unreadable, facts, want{kind: ledger.Fail, slot: ledger.Release, name: outcomeFailed, delay: b}},
		{"unreadable, the last", unreadable, last, want{kind: ledger.GiveUp, slot: ledger.Release, name: outcomeFailed, delay: b}},
		{"anything else that was answered", refused(wolkvox.Other, 418), facts, want{kind: ledger.Fail, slot: ledger.Release, name: outcomeFailed, delay: b}},

		{"unknown outcome", unknown, facts, want{kind: ledger.Fail, slot: ledger.Keep, name: outcomeUnknown, delay: b}},
		{"unknown outcome, the last", unknown, last, want{kind: ledger.GiveUp, slot: ledger.Keep, name: outcomeUnknown, delay: b}},
		{"unknown outcome, cut off", unknown, stopping, want{kind: ledger.Fail, slot: ledger.Keep, name: outcomeUnknown, delay: b}},
		{"an error that is not known", errors.New("?"), facts, want{kind: ledger.Fail, slot: ledger.Keep, name: outcomeUnknown, delay: b}},
		{"wrapped", fmt.Errorf("so: %w", unknown), facts, want{kind: ledger.Fail, slot: ledger.Keep, name: outcomeUnknown, delay: b}},

		{"token limit", refused(wolkvox.TokenLimit, 403), facts, want{kind: ledger.PushBack, slot: ledger.Release, name: outcomePushBack, delay: b, cool: 14 * time.Hour, probe: probeAfter}},
		{"token limit, attempts spent", refused(wolkvox.TokenLimit, 403), last, want{kind: ledger.PushBack, slot: ledger.Release, name: outcomePushBack, delay: b, cool: 14 * time.Hour, probe: probeAfter}},
		{"simultaneous", refused(wolkvox.SimultaneousLimit, 403), facts, want{kind: ledger.PushBack, slot: ledger.Release, name: outcomePushBack, delay: b, cool: b}},
		{"429", refused(wolkvox.TooMany, 429), facts, want{kind: ledger.PushBack, slot: ledger.Release, name: outcomePushBack, delay: b, cool: b}},
		{"429 with Retry-After", after(wolkvox.TooMany, time.Minute), facts, want{kind: ledger.PushBack, slot: ledger.Release, name: outcomePushBack, delay: time.Minute, cool: time.Minute}},
		{"429 with a short Retry-After", after(wolkvox.TooMany, time.Second), facts, want{kind: ledger.PushBack, slot: ledger.Release, name: outcomePushBack, delay: b, cool: b}},
		{"unknown 403", refused(wolkvox.UnknownForbidden, 403), facts, want{kind: ledger.PushBack, slot: ledger.Release, name: outcomePushBack, delay: b, cool: b}},
		{"push-back for almost a day", refused(wolkvox.UnknownForbidden, 403), recent, want{kind: ledger.PushBack, slot: ledger.Release, name: outcomePushBack, delay: b, cool: b}},
		{"push-back for a day", refused(wolkvox.UnknownForbidden, 403), old, want{kind: ledger.GiveUp, slot: ledger.Release, name: outcomePushBack, delay: b, cool: b}},

		{"not sent", notSent, facts, want{kind: ledger.NotSent, slot: ledger.GiveBack, name: outcomeNotSent, delay: b}},
		{"not sent, attempts spent", notSent, last, want{kind: ledger.NotSent, slot: ledger.GiveBack, name: outcomeNotSent, delay: b}},
		{"not sent for a day", notSent, old, want{kind: ledger.GiveUp, slot: ledger.GiveBack, name: outcomeNotSent, delay: b}},
		{"held up on our side for a day", &wolkvox.NotSentError{Late: true, Cause: errors.New("late")}, old, want{kind: ledger.Late, slot: ledger.GiveBack, name: outcomeNotSent, delay: b}},
		{"cancelled before it was sent", notSent, stopping, want{kind: ledger.Late, slot: ledger.GiveBack, name: outcomeNotSent}},

		{"token can't be opened", gone, facts, want{kind: ledger.GiveUp, slot: ledger.GiveBack, name: outcomeUnopenable}},
	} {
		j := decideOutcome(wolkvox.Answer{Status: 202, Code: 202, Msg: "enabled"}, tc.err, tc.facts)
		got := want{kind: j.Kind, slot: j.Slot, name: j.Name, delay: j.Delay, probe: j.Cooling.ProbeAfter, lift: j.Cooling.Lift}
		if !j.Cooling.Until.IsZero() {
			got.cool = j.Cooling.Until.Sub(now)
			if j.Cooling.Why == "" {
				t.Errorf("%s: cools for no reason", tc.name)
			}
		}
		if got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
		if tc.err != nil && j.Err == "" {
			t.Errorf("%s: no reason is kept", tc.name)
		}
		if tc.err == nil && (j.Code != "202" || j.Msg != "enabled" || j.Err != "") {
			t.Errorf("%s: %+v", tc.name, j)
		}
	}
	for reason, err := range map[string]error{
		"": nil, "bad_token": refused(wolkvox.BadToken, 403), "server_error": refused(wolkvox.ServerFailure, 500),
		ledger.ReasonNotSent: notSent, ledger.ReasonUnreadable: unreadable, ledger.ReasonUnopenable: gone, ledger.ReasonUnknown: errors.New("whatever"),
	} {
		if j := decideOutcome(wolkvox.Answer{}, err, facts); j.Reason != reason {
			t.Errorf("%v: reason %q, want %q", err, j.Reason, reason)
		}
	}
	for text, err := range map[string]error{
		`"k7"`:     gone,
		"skip":     &unopenableError{errors.New("broken")},
		"HTTP 500": refused(wolkvox.ServerFailure, 500),
	} {
		if j := decideOutcome(wolkvox.Answer{}, err, facts); !strings.Contains(j.Err, text) {
			t.Errorf("%q does not say %s", j.Err, text)
		}
	}
	if j := decideOutcome(wolkvox.Answer{}, refused(wolkvox.ServerFailure, 500), last); !strings.Contains(j.Err, "12 attempts") {
		t.Errorf("%q", j.Err)
	}
	if j := decideOutcome(wolkvox.Answer{}, &wolkvox.RefusedError{Kind: wolkvox.BadToken, Status: 403}, facts); j.Code != "403" {
		t.Errorf("an answer with no code: %q", j.Code)
	}
}

func TestBackOff(t *testing.T) {
	const low, high = 10 * time.Millisecond, time.Second
	for n := range 70 {
		top := high
		if n < 7 { // 10 ms * 2^7 is above a second
			top = low << n
		}
		seen := map[time.Duration]bool{}
		for range 200 {
			d := backOff(n, low, high)
			if d < low || d > top {
				t.Fatalf("failure %d: %s is not from %s to %s", n, d, low, top)
			}
			seen[d] = true
		}
		if n > 0 && len(seen) < 100 {
			t.Errorf("failure %d: %d different waits of 200: that is no jitter", n, len(seen))
		}
	}
	for _, tc := range [][2]time.Duration{{time.Second, time.Second}, {time.Hour, time.Hour}, {1 << 62, 1<<63 - 1}} {
		for _, n := range []int{0, 1, 2, 39, 40, 1 << 30} {
			if d := backOff(n, tc[0], tc[1]); d < tc[0] || d > tc[1] {
				t.Errorf("%d %v: %s", n, tc, d)
			}
		}
	}
}
