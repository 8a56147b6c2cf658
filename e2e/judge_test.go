package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/testkit/wolkvoxtest"
)

// A judge that finds nothing proves nothing, so each promise is broken once here.
func TestJudgeFindsBrokenPromises(t *testing.T) {
	plan := Plan{Batch: "b", Rows: []Row{{Token: "t"}, {Token: "t"}}}
	call := func(i int, state ledger.State, attempts int) control.CallRecord {
		return control.CallRecord{ID: string(rune('A' + i)), Chain: "t", Ref: refOf(i), State: state, Attempts: attempts}
	}
	req := func(seq, end int64, id string, ok bool) wolkvoxtest.Record {
		c, _, _ := strings.Cut(id, ".")
		return wolkvoxtest.Record{Seq: seq, EndSeq: end, Token: "t", Call: c, RequestID: id, Success: ok, Day: "d", Quota: 1000}
	}
	// at gives a request its times; it takes one second.
	epoch := time.Unix(1_700_000_000, 0)
	sec := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }
	at := func(r wolkvoxtest.Record, end int) wolkvoxtest.Record {
		r.Arrived, r.Ended = sec(end-1), sec(end)
		return r
	}
	window := func(from, to, sent int) []Window {
		w := Window{From: sec(from), To: sec(to)}
		if sent > 0 {
			w.Sent = sec(sent)
		}
		return []Window{w}
	}
	both := []control.CallRecord{call(0, "succeeded", 1), call(1, "succeeded", 1)}
	reset := req(1, 2, "A.1", true)
	reset.Fault, reset.Hidden = wolkvoxtest.ResetAfter, true
	scarce := req(3, 4, "B.1", true)
	scarce.Quota = 1
	for _, tc := range []struct {
		name     string
		requests []wolkvoxtest.Record
		calls    []control.CallRecord
		terms    Terms
		want     string // the promises that are broken
	}{
		{"well", []wolkvoxtest.Record{req(1, 2, "A.1", true), req(3, 4, "B.1", true)}, both, Terms{}, ""},
		{"three in flight", []wolkvoxtest.Record{req(1, 9, "A.1", true), req(2, 8, "B.1", true), req(3, 7, "A.2", true)},
			[]control.CallRecord{call(0, "succeeded", 2), both[1]}, Terms{Lost: 1}, "I1 I2 I2"},
		{"out of order", []wolkvoxtest.Record{req(1, 2, "B.1", true), req(3, 4, "A.1", true)}, both, Terms{}, "I2"},
		{"overlap", []wolkvoxtest.Record{req(1, 3, "A.1", true), req(2, 4, "B.1", true)}, both, Terms{}, "I2 I2"},
		{"over the quota", []wolkvoxtest.Record{req(1, 2, "A.1", true), scarce}, both, Terms{}, "I3"},
		{"open for no reason", []wolkvoxtest.Record{req(1, 2, "A.1", true)}, []control.CallRecord{both[0], call(1, "queued", 0)}, Terms{}, "I4"},
		{"open is allowed", []wolkvoxtest.Record{req(1, 2, "A.1", true)}, []control.CallRecord{both[0], call(1, "queued", 0)}, Terms{Open: true}, ""},
		{"given up without a reason", []wolkvoxtest.Record{req(1, 2, "A.1", false)}, []control.CallRecord{call(0, "failed", 1), call(1, "queued", 0)}, Terms{}, "I4"},
		{"said to be done", []wolkvoxtest.Record{req(1, 2, "A.1", true), req(3, 4, "B.1", false)}, both, Terms{}, "I4"},
		{"needless", []wolkvoxtest.Record{req(1, 2, "A.1", true), req(3, 4, "A.2", true), req(5, 6, "B.1", true)},
			[]control.CallRecord{call(0, "succeeded", 2), both[1]}, Terms{}, "I5 I5"},
		{"explained by a kill", []wolkvoxtest.Record{req(1, 2, "A.1", true), req(3, 4, "A.2", true), req(5, 6, "B.1", true)},
			[]control.CallRecord{call(0, "succeeded", 2), both[1]}, Terms{Lost: 1}, ""},
		{"explained by a reset, after one more failure", []wolkvoxtest.Record{reset, req(3, 4, "A.2", false), req(5, 6, "A.3", true), req(7, 8, "B.1", true)},
			[]control.CallRecord{call(0, "succeeded", 3), both[1]}, Terms{}, ""},
		{"attempts differ", []wolkvoxtest.Record{req(1, 2, "A.1", true), req(3, 4, "B.1", true)},
			[]control.CallRecord{call(0, "succeeded", 2), both[1]}, Terms{}, "I5"},
		{"attempts not sent", []wolkvoxtest.Record{req(1, 2, "A.1", true), req(3, 4, "B.1", true)},
			[]control.CallRecord{call(0, "succeeded", 2), both[1]}, Terms{Unsent: 1}, ""},
		{"an id twice", []wolkvoxtest.Record{req(1, 2, "A.1", false), req(3, 4, "A.1", true), req(5, 6, "B.1", true)},
			[]control.CallRecord{call(0, "succeeded", 2), both[1]}, Terms{}, "I5"},
		{"unknown to the report", []wolkvoxtest.Record{req(1, 2, "A.1", true), req(3, 4, "B.1", true), req(5, 6, "C.1", true)}, both, Terms{}, "I5"},
		{"explained by a window", []wolkvoxtest.Record{at(req(1, 2, "A.1", true), 10), at(req(3, 4, "A.2", true), 30), req(5, 6, "B.1", true)},
			[]control.CallRecord{call(0, "succeeded", 2), both[1]}, Terms{Unrecorded: window(5, 20, 0)}, ""},
		{"outside of the window", []wolkvoxtest.Record{at(req(1, 2, "A.1", true), 10), at(req(3, 4, "A.2", true), 30), req(5, 6, "B.1", true)},
			[]control.CallRecord{call(0, "succeeded", 2), both[1]}, Terms{Unrecorded: window(11, 20, 0)}, "I5 I5"},
		{"sent too late for the window", []wolkvoxtest.Record{at(req(1, 2, "A.1", true), 10), at(req(3, 4, "A.2", true), 30), req(5, 6, "B.1", true)},
			[]control.CallRecord{call(0, "succeeded", 2), both[1]}, Terms{Unrecorded: window(5, 20, 8)}, "I5 I5"},
		{"lost writes", []wolkvoxtest.Record{at(req(1, 2, "A.1", true), 10), at(req(3, 4, "B.1", true), 12), at(req(5, 6, "A.1", true), 30), at(req(7, 8, "B.1", true), 40)},
			both, Terms{Unrecorded: window(5, 20, 0), LostWrites: true}, ""},
		{"written before the loss", []wolkvoxtest.Record{at(req(1, 2, "A.1", true), 4), at(req(3, 4, "B.1", true), 12), at(req(5, 6, "A.1", true), 30), at(req(7, 8, "B.1", true), 40)},
			both, Terms{Unrecorded: window(5, 20, 0), LostWrites: true}, "I2 I5 I5 I5"},
		{"lost", []wolkvoxtest.Record{req(1, 2, "A.1", true)}, both[:1], Terms{}, "I6"},
	} {
		v := Judge(wolkvoxtest.NewAccount(tc.requests...), tc.terms, []Plan{plan}, [][]control.CallRecord{tc.calls})
		var got []string
		for _, b := range v.Broken {
			promise, _, _ := strings.Cut(b, ":")
			got = append(got, promise)
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s: %v, want %s", tc.name, v.Broken, tc.want)
		}
	}
}

// forms finds a token wherever it is in an encoded text.
func TestForms(t *testing.T) {
	const token = "canary-7f3Qx9TzLm2W"
	contains := func(b []byte) bool {
		for _, f := range forms(token) {
			if bytes.Contains(b, f) {
				return true
			}
		}
		return false
	}
	for pad := range 7 {
		text := []byte(strings.Repeat("x", pad) + token + "tail")
		for name, b := range map[string][]byte{
			"plain": text, "hex": []byte(hex.EncodeToString(text)), "base64": []byte(base64.StdEncoding.EncodeToString(text)),
			"base64url": []byte(base64.RawURLEncoding.EncodeToString(text)),
		} {
			if !contains(b) {
				t.Errorf("%s at %d is not found", name, pad)
			}
		}
	}
	if contains([]byte(base64.StdEncoding.EncodeToString([]byte("something else entirely, and long")))) {
		t.Error("found where it is not")
	}
}

// A lab also runs without a test.
func TestStandalone(t *testing.T) {
	var out strings.Builder
	var order []string
	ok := Standalone(t.Context(), "run", &out, func(tb testing.TB) {
		tb.Cleanup(func() { order = append(order, "first") })
		tb.Cleanup(func() { order = append(order, "second") })
		if tb.TempDir() == "" || tb.Context().Err() != nil {
			tb.Error("no directory or context")
		}
		tb.Fatalf("so %d", 1)
	})
	if ok || out.String() != "run: so 1\n" || strings.Join(order, " ") != "second first" {
		t.Errorf("%v %q %v", ok, out.String(), order)
	}
	if !Standalone(context.Background(), "skip", &out, func(tb testing.TB) { tb.Skip("no") }) {
		t.Error("a skip is no failure")
	}
}
