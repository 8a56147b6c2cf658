package control_test

import (
	"errors"
	"strings"
	"testing"

	"habilita/internal/control"
	"habilita/internal/schedule"
)

// Every decision is in the audit log with who made it and its result. A decision about a thing that does
// not exist leaves no entry.
func TestDecisionsAreNoted(t *testing.T) {
	w := newWorld(t)
	ctx := control.WithActor(w.ctx, control.Actor{Who: "ana", Via: control.ByAPI})
	w.enqueue("b", "0001", token("a"), "", 1)
	for _, step := range []struct {
		act         func() error
		want        string
		wantNothing bool
	}{
		{act: func() error { _, err := w.op.Cancel(ctx, control.Selection{Batch: "b"}); return err }, want: "ana api cancel batch b: 1 call"},
		{act: func() error { _, err := w.op.Reopen(ctx, control.Selection{Batch: "b"}); return err }, want: "ana api reopen batch b: 1 call"},
		{act: func() error { _, err := w.op.Retry(w.ctx, control.Selection{All: true}); return err }, want: "unknown go retry all held chains: 0 chains"},
		{act: func() error {
			_ = w.op.EnqueueBatch(ctx, "b", func() (control.Outcome, error) { return control.Outcome{Count: 1, Of: 2}, errors.New("cut off") })
			return nil
		}, want: "ana api enqueue batch b: failed after 1 new of 2 rows: cut off"},
		{act: func() error {
			return w.op.EnqueueBatch(ctx, "b", func() (control.Outcome, error) { return control.Outcome{Count: 1, Of: 1}, nil })
		}, want: "ana api enqueue batch b: 1 new of 1 row"},
		{act: func() error {
			return w.op.EnqueueBatch(ctx, "b", func() (control.Outcome, error) {
				return control.Outcome{Count: 2, Of: 2989, Pruned: 11, Replaced: 2}, nil
			})
		}, want: "ana api enqueue batch b: 2 new of 2,989 rows; 11 cancelled by prune, 2 replaced"},
		{act: func() error {
			_ = w.op.AddSchedule(ctx, schedule.Definition{Name: "s"}, 2, "", false) // its rows were never written
			return nil
		}, want: "ana api schedule add schedule s: failed: no time zone: give one such as America/Bogota or UTC"},
		{act: func() error { _, err := w.op.Cancel(ctx, control.Selection{Batch: "none"}); return err }, wantNothing: true},
		{act: func() error { _, err := w.op.PauseSchedule(ctx, "none"); return err }, wantNothing: true},
		{act: func() error { _, err := w.op.Skip(ctx, control.Selection{}); return err }, wantNothing: true},
		{act: func() error { _, err := w.op.LiftServer(ctx, "42"); return err }, wantNothing: true},
	} {
		beforePage, err := w.op.AuditLog().Before(w.ctx, "", 100)
		before := beforePage.Items
		if err != nil {
			t.Fatal(err)
		}
		if err := step.act(); (err != nil) != step.wantNothing {
			t.Errorf("%q: %v", step.want, err)
		}
		afterPage, err := w.op.AuditLog().Before(w.ctx, "", 100)
		after := afterPage.Items
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(after) > len(before) {
			e := after[0]
			got = strings.Join([]string{e.Who, e.Via, e.Action, e.Target}, " ") + ": " + e.Result
		}
		if got != step.want {
			t.Errorf("noted %q, want %q", got, step.want)
		}
	}
}

// A lift is noted under the server's own name, even if it failed, but not if there was nothing to lift.
func TestLiftsAreNoted(t *testing.T) {
	w := newWorld(t)
	for _, server := range []string{"0042", "0043"} {
		w.redis.HSet("habilita:{health}:servers", server, `{"state":"open","since":1,"next":1,"run":9,"w":1,"req":9,"fail":9,"preq":0,"pfail":0,"step":2000,"chains":""}`)
	}
	for _, want := range []bool{true, false} {
		if was, err := w.op.LiftServer(w.ctx, "wv42"); was != want || err != nil {
			t.Errorf("%t, %v", was, err)
		}
	}
	w.rdb.AddHook(shardDown{"health"})
	if _, err := w.op.LiftServer(w.ctx, "43"); !errors.Is(err, errDown) {
		t.Errorf("%v", err)
	}
	logPage, err := w.op.AuditLog().Before(w.ctx, "", 10)
	log := logPage.Items
	if err != nil || len(log) != 2 || log[1].Target != "server 0042" || log[1].Result != "done" || log[1].Ended != control.EndedDone ||
		log[0].Target != "server 0043" || !strings.HasPrefix(log[0].Result, "failed: ") || log[0].Ended != control.EndedFailed {
		t.Errorf("%+v, %v", log, err)
	}
}

// If the entry of a decision can't be written, the decision stands, and the actor is told.
func TestDecisionStandsWithoutItsEntry(t *testing.T) {
	w := newWorld(t)
	w.enqueue("b", "0001", token("a"), "", 1)
	if err := w.rdb.Set(w.ctx, "habilita:actions", "no stream", 0).Err(); err != nil {
		t.Fatal(err)
	}
	var told error
	ctx := control.WithActor(w.ctx, control.Actor{Who: "ana", Via: control.ByCLI, Told: func(_ control.AuditEntry, err error) { told = err }})
	if n, err := w.op.Cancel(ctx, control.Selection{Batch: "b"}); n != 1 || err != nil || told == nil {
		t.Errorf("%d, %v, told %v", n, err, told)
	}
}

// What a person enqueues call by call is noted, even if it failed. What a program enqueues is not: it
// would push people's decisions out of the log.
func TestSingleCallsOfPeopleAreNoted(t *testing.T) {
	w := newWorld(t)
	for _, via := range []string{control.ByAPI, control.ByGo, control.ByCLI} {
		ctx := control.WithActor(w.ctx, control.Actor{Who: "ana", Via: via})
		for _, c := range []struct {
			id     string
			failed error
			want   string
		}{
			{"c-1", nil, "call c-1: chain abc"},
			{"c-1", errors.New("conflict"), "call c-1: failed: conflict"},
			{"", errors.New("full"), "server 0042: failed: full"},
		} {
			before, _ := w.op.AuditLog().Before(w.ctx, "", 100)
			if err := w.op.EnqueueCall(ctx, "0042", func() (string, string, error) { return c.id, "abc", c.failed }); !errors.Is(err, c.failed) {
				t.Errorf("%v", err)
			}
			after, err := w.op.AuditLog().Before(w.ctx, "", 100)
			if err != nil || len(after.Items) != len(before.Items)+map[bool]int{true: 1}[via == control.ByCLI] {
				t.Fatalf("%s: %d entries after %d, %v", via, len(after.Items), len(before.Items), err)
			}
			if via != control.ByCLI {
				continue
			}
			if e := after.Items[0]; e.Target+": "+e.Result != c.want || e.Action != "enqueue" || e.Who != "ana" {
				t.Errorf("noted %+v, want %s", e, c.want)
			}
		}
	}
}
