package control_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/wolkvox"
)

// hold makes a chain of one more call wait for a person, for the code, with the error's text.
func (w *world) hold(batch, tok, reason, text string, at time.Time) {
	w.t.Helper()
	w.redis.SetTime(at)
	w.enqueue(batch, "0001", tok, "", 2)
	w.attempt(tok, ledger.Outcome{Kind: ledger.GiveUp, Slot: ledger.Release, Reason: reason, Err: text})
}

// Held chains are grouped by cause, the oldest first, also for a single batch. A decision can be
// limited to those that failed for one cause.
func TestHeldChainsByCause(t *testing.T) {
	w := newWorld(t)
	// Only the code counts: the texts say something else, or were written by an older version.
	const refused, text = string(wolkvox.BadToken), "given up after 12 attempts: wolkvox: refused (server_error): 503"
	for i := range 5 {
		w.hold("one", token(ledger.TagAt(9-i)), refused, text, start.Add(time.Duration(i)*time.Minute))
	}
	w.hold("two", token("cc"), refused, "", start.Add(-time.Hour))
	w.hold("two", token("dd"), string(wolkvox.ServerFailure), "x", start)
	w.hold("two", token("ee"), "", "wolkvox: refused (bad_token): 403 PLEASE VALIDATE TOKEN", start.Add(-2*time.Hour))

	sum, err := w.op.HeldGroups(w.ctx, "")
	if err != nil || sum.Chains != 8 || sum.Cut || len(sum.Groups) != 3 {
		t.Fatalf("%+v, %v", sum, err)
	}
	first := sum.Groups[0]
	if first.Cause != string(wolkvox.BadToken) || first.Chains != 6 || first.Behind != 6 || len(first.Examples) != control.HeldExamples ||
		!first.Since.Equal(start.Add(-time.Hour)) || first.Examples[0].TokenID != token("cc") || first.Examples[1].TokenID != token(ledger.TagAt(9)) {
		t.Errorf("%+v", first)
	}
	of := map[string]int{}
	for _, g := range sum.Groups {
		of[g.Cause] = g.Chains
	}
	if of["server_error"] != 1 || of[control.CauseOther] != 1 {
		t.Errorf("%v", of)
	}
	if sum, err := w.op.HeldGroups(w.ctx, "two"); err != nil || sum.Chains != 3 {
		t.Errorf("of a batch: %+v, %v", sum, err)
	}
	page, all, err := w.op.HeldPage(w.ctx, "", string(wolkvox.BadToken), "1", 2)
	if items := page.Items; err != nil || all != 6 || page.Next != "3" || len(items) != 2 || items[0].TokenID != token(ledger.TagAt(9)) || items[1].TokenID != token(ledger.TagAt(8)) {
		t.Errorf("%+v, %d, %v", page, all, err)
	}
	if page, _, err := w.op.HeldPage(w.ctx, "", string(wolkvox.BadToken), "5", 50); err != nil || page.Next != "" || len(page.Items) != 1 {
		t.Errorf("the last page: %+v, %v", page, err)
	}
	for _, cursor := range []string{"x", "-1", "1e3", "9999999999999999999"} {
		if _, _, err := w.op.HeldPage(w.ctx, "", string(wolkvox.BadToken), cursor, 50); !errors.Is(err, control.ErrCursor) {
			t.Errorf("%s: %v", cursor, err)
		}
	}

	for _, s := range []control.Selection{{Cause: "bad_token"}, {All: true, Cause: "nonsense"}, {Chain: token("cc"), Cause: "bad_token"}} {
		if _, err := s.Check(); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
	if n, err := w.op.Cancel(w.ctx, control.Selection{Batch: "two", Cause: "bad_token"}); err != nil || n != 2 {
		t.Errorf("cancelled %d, %v", n, err)
	}
	if s := w.status("two"); s.Stopped || s.Cancelled != 2 || s.HeldChains != 2 {
		t.Errorf("the rest of the batch was to stay: %+v", s)
	}
	if n, err := w.op.Retry(w.ctx, control.Selection{All: true, Cause: "bad_token"}); err != nil || n != 5 {
		t.Errorf("retried %d, %v", n, err)
	}
	if got := fmt.Sprint(control.Selection{Batch: "two", Cause: "bad_token"}); got != "cause bad_token of batch two" {
		t.Error(got)
	}
}

// People read one number of attempts: all of them. The error's own number counts only those since the last retry.
func TestAttemptsAreSaidOnce(t *testing.T) {
	w := newWorld(t)
	w.hold("one", token("aa"), ledger.ReasonUnknown, "given up after 12 attempts: wolkvox: outcome unknown", start)
	w.hold("one", token("bb"), ledger.ReasonNotSent, "given up: pushed back since 2026-11-23T17:00:00Z: wolkvox: request not sent", start)
	held := w.chains(true)
	if len(held) != 2 || held[0].Why != "held: gave up after 1 attempt: wolkvox: outcome unknown" ||
		held[1].Why != "held: gave up after 1 attempt: pushed back since 2026-11-23T17:00:00Z: wolkvox: request not sent" {
		t.Errorf("%+v", held)
	}
}

// A token counts every chain that waits for it, for whatever reason.
func TestTokensCountWhatWaitsForThem(t *testing.T) {
	w := newWorld(t)
	tok := token("aa")
	w.enqueue("one", "0001", tok, "a", 1)
	w.attempt(tok, done)
	for _, key := range w.redis.Keys() {
		if strings.Contains(key, ":used:"+tok) {
			if err := w.redis.Set(key, "1000"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"", "b", "c"} {
		w.enqueue("one", "0001", tok, name, 1)
		w.attempt(tok, ledger.Outcome{})
	}
	w.enqueue("one", "0001", token("ab"), "", 1)
	w.attempt(token("ab"), fail) // it waits for itself
	rows, err := w.op.Quota(w.ctx)
	if err != nil || len(rows) != 2 || rows[0].Waiting != 3 || rows[1].Waiting != 0 {
		t.Errorf("%+v, %v", rows, err)
	}
	page, err := w.op.QuotaPage(w.ctx, "", 1)
	if err != nil || len(page.Items) != 1 || page.Items[0].Waiting != 3 {
		t.Errorf("%+v, %v", page, err)
	}
}
