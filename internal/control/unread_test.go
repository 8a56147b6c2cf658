package control_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/schedule"
)

// shardDown fails the commands whose keys are in these buckets, as a cluster does while one of its
// nodes is away.
type shardDown []string

var errDown = errors.New("node is down")

// hits reports whether a command is for the bucket.
func (d shardDown) hits(c redis.Cmder) bool {
	for _, arg := range c.Args() {
		for _, tag := range d {
			if key, ok := arg.(string); ok && strings.HasPrefix(key, "habilita:{"+tag+"}") {
				return true
			}
		}
	}
	return false
}

func (shardDown) DialHook(next redis.DialHook) redis.DialHook { return next }
func (d shardDown) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		if d.hits(c) {
			c.SetErr(errDown)
			return errDown
		}
		return next(ctx, c)
	}
}
func (d shardDown) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		var well, down []redis.Cmder
		for _, c := range cmds {
			if d.hits(c) {
				down = append(down, c)
			} else {
				well = append(well, c)
			}
		}
		var err error
		if len(well) > 0 {
			err = next(ctx, well)
		}
		for _, c := range down {
			c.SetErr(errDown)
			err = errDown
		}
		return err
	}
}

// If a part of the ledger can't be read, the others are shown, and the answer says so.
func TestPartOfTheLedgerIsDown(t *testing.T) {
	w := newWorld(t)
	for _, tok := range []string{token("aa"), token("bb")} {
		w.enqueue("", "0001", tok, "", 2)
		w.attempt(tok, giveUp)
	}
	w.rdb.AddHook(shardDown{"aa"})
	var ids []string
	var last error
	for c, err := range w.op.Chains(w.ctx, true) {
		if last = err; err == nil {
			ids = append(ids, c.ID)
		}
	}
	if len(ids) != 1 || control.Unread(last) != 1 || !errors.Is(last, errDown) {
		t.Errorf("chains: %v, %v", ids, last)
	}
	if p, err := w.op.ChainsPage(w.ctx, false, "", 10); err != nil || len(p.Items) != 1 || p.Unread != 1 {
		t.Errorf("page: %+v, %v", p, err)
	}
	if s, err := w.op.HeldGroups(w.ctx, ""); err != nil || s.Chains != 1 || s.Unread != 1 {
		t.Errorf("held: %+v, %v", s, err)
	}
	if page, all, err := w.op.HeldPage(w.ctx, "", control.CauseOther, "", 10); err != nil || len(page.Items) != 1 || all != 1 || page.Unread != 1 {
		t.Errorf("held page: %+v of %d, %v", page, all, err)
	}
	if o, err := w.op.Overview(w.ctx); err != nil || o.Held != 1 || o.Unread != 1 {
		t.Errorf("overview: %+v, %v", o, err)
	}
	for _, err := range w.op.Scheduled(w.ctx) {
		last = err
	}
	if control.Unread(last) != 1 {
		t.Errorf("scheduled calls: %v", last)
	}
	if rows, err := w.op.Quota(w.ctx); len(rows) != 1 || control.Unread(err) != 1 {
		t.Errorf("quota: %v, %v", rows, err)
	}
	if p, err := w.op.QuotaPage(w.ctx, "", 10); err != nil || len(p.Items) != 1 || p.Unread != 1 {
		t.Errorf("quota page: %+v, %v", p, err)
	}
	if rows, err := w.op.QuotaOf(w.ctx, []string{token("aa"), token("bb")}); len(rows) != 1 || control.Unread(err) != 1 {
		t.Errorf("quota of two tokens: %v, %v", rows, err)
	}
}

// The readable part of a batch is shown, and the answer says that there is more. The batch is not said to be settled.
func TestPartOfABatchIsDown(t *testing.T) {
	w := newWorld(t)
	for _, tok := range []string{token("aa"), token("bb")} {
		w.enqueue("b", "0001", tok, "", 1)
		w.attempt(tok, done)
	}
	if s := w.status("b"); !s.Settled || s.Total != 2 {
		t.Fatalf("%+v", s)
	}
	w.rdb.AddHook(shardDown{"aa"})
	partly := func(what string, s control.Status) {
		t.Helper()
		if s.Total != 1 || s.Succeeded != 1 || s.Unread != 1 || s.Settled || !s.SettledAt.IsZero() || s.AllSucceeded() {
			t.Errorf("%s: %+v", what, s)
		}
	}
	s, err := w.op.Status(w.ctx, "b")
	if partly("status", s); control.Unread(err) != 1 {
		t.Errorf("%v", err)
	}
	p, err := w.op.BatchesPage(w.ctx, "", 10)
	if err != nil || len(p.Items) != 1 || p.Unread != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	partly("page", p.Items[0])
	var all []control.Status
	var last error
	for s, err := range w.op.Batches(w.ctx) {
		if last = err; err == nil {
			all = append(all, s)
		}
	}
	if len(all) != 1 || control.Unread(last) != 1 {
		t.Fatalf("%+v, %v", all, last)
	}
	partly("list", all[0])
	calls := 0
	for _, err := range w.op.Report(w.ctx, "b") {
		if last = err; err == nil {
			calls++
		}
	}
	if calls != 1 || control.Unread(last) != 1 {
		t.Errorf("report: %d calls, %v", calls, last)
	}
	if p, err := w.op.CallsPage(w.ctx, "b", control.CallsQuery{Limit: 10}); err != nil || len(p.Items) != 1 || p.Unread != 1 {
		t.Errorf("calls: %+v, %v", p, err)
	}
	// A wait for it goes on, and does not say that it is settled.
	if _, err := w.op.WaitSettled(w.ctx, "b", 50*time.Millisecond); !errors.Is(err, control.ErrNotSettled) {
		t.Errorf("wait: %v", err)
	}
}

// A batch that can't be read at all hides no other batch in the list.
func TestABatchOfTheListIsDown(t *testing.T) {
	w := newWorld(t)
	w.enqueue("well", "0001", token("bb"), "", 1)
	w.enqueue("away", "0001", token("bb"), "", 1)
	w.redis.Del("habilita:batch:" + ledger.BatchID("away"))
	if err := w.redis.Set("habilita:batch:"+ledger.BatchID("away"), "no batch"); err != nil {
		t.Fatal(err)
	}
	if p, err := w.op.BatchesPage(w.ctx, "", 10); err != nil || len(p.Items) != 1 || p.Items[0].Batch != "well" || p.Unread != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	var names []string
	var last error
	for s, err := range w.op.Batches(w.ctx) {
		if last = err; err == nil {
			names = append(names, s.Batch)
		}
	}
	if len(names) != 1 || control.Unread(last) != 1 {
		t.Errorf("%v, %v", names, last)
	}
}

// Decisions reach everything that can be read, and say that there is more.
func TestDecisionsWhilePartOfTheLedgerIsDown(t *testing.T) {
	tokens := []string{token("aa"), token("bb"), token("cc")}
	for name, c := range map[string]struct {
		decide func(*control.Control, context.Context, control.Selection) (int, error)
		of     control.Selection
		n      int
	}{
		"retry all":    {(*control.Control).Retry, control.Selection{All: true}, 2},
		"skip server":  {(*control.Control).Skip, control.Selection{Server: "0001"}, 2},
		"cancel all":   {(*control.Control).Cancel, control.Selection{All: true}, 6},
		"retry batch":  {(*control.Control).Retry, control.Selection{Batch: "b"}, 2},
		"cancel batch": {(*control.Control).Cancel, control.Selection{Batch: "b"}, 6},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, tok := range tokens {
				w.enqueue("b", "0001", tok, "", 3)
				w.attempt(tok, giveUp)
			}
			w.rdb.AddHook(shardDown{"bb"})
			if n, err := c.decide(w.op, w.ctx, c.of); n != c.n || control.Unread(err) != 1 || !errors.Is(err, errDown) {
				t.Errorf("%d, %v", n, err)
			}
			if held := w.held(); len(held) != 0 {
				t.Errorf("still held: %v", held)
			}
		})
	}
}

// However many buckets are away, the others are purged.
func TestPurgeWhilePartOfTheLedgerIsDown(t *testing.T) {
	w := newWorld(t)
	for _, tok := range []string{token("aa"), token("zz")} {
		w.enqueue("", "0001", tok, "", 1)
		w.attempt(tok, done)
	}
	down := shardDown(ledger.AllTags()[:20])
	w.rdb.AddHook(down)
	before := start.Add(time.Hour)
	if n, err := w.ledger.Purge(w.ctx, ledger.NoBatch, ledger.AllTags(), before); n != 1 || control.Unread(err) != len(down) {
		t.Errorf("%d purged, %v", n, err)
	}
	if tokens, err := w.ledger.Tokens(w.ctx); len(tokens) != 0 || control.Unread(err) != len(down) {
		t.Errorf("%v, %v", tokens, err)
	}
}

// held returns the held chains in the readable part of the ledger.
func (w *world) held() (ids []string) {
	for c, err := range w.op.Chains(w.ctx, true) {
		if err == nil {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// Schedules whose runs can be read only in part are shown, and say so. If one can't be read, the answer says so.
func TestPartOfTheSchedulesIsDown(t *testing.T) {
	w := newWorld(t)
	w.addSchedule("one")
	store := w.addSchedule("two")
	st, err := store.Get(w.ctx, "two")
	if err != nil {
		t.Fatal(err)
	}
	c, ok, err := store.MakeClaim(w.ctx, st, schedule.Decision{Action: schedule.Make, Batch: "b"}, time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := store.Finish(w.ctx, st.ID, c, schedule.Run{Batch: "b", Result: schedule.ResultMade}); err != nil {
		t.Fatal(err)
	}
	for _, tok := range []string{token("aa"), token("bb")} {
		w.enqueue("b", "0001", tok, "", 1)
	}
	w.rdb.AddHook(shardDown{"aa"})
	all, err := w.op.Schedules(w.ctx)
	if control.Unread(err) != 1 || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	one, err := w.op.Schedule(w.ctx, "two")
	if control.Unread(err) != 1 || len(one.Runs) != 1 || one.Runs[0].BatchStatus.Total != 1 || one.Runs[0].BatchStatus.Unread != 1 {
		t.Errorf("%+v, %v", one, err)
	}
	w.rdb.AddHook(shardDown{"s:" + schedule.ID("one")})
	all, err = w.op.Schedules(w.ctx)
	if control.Unread(err) != 2 || len(all) != 1 || all[0].Name != "two" || !strings.Contains(control.UnreadWords(err), "schedules: 1") {
		t.Errorf("%+v, %v", all, err)
	}
	w.rdb.AddHook(shardDown{"s:" + schedule.ID("two")})
	if _, err = w.op.Schedules(w.ctx); !errors.Is(err, errDown) || control.Unread(err) != 0 {
		t.Errorf("all are down: %v", err)
	}
}

// If a part of a batch can't be reached, only the rest is reopened, and the batch stays cancelled until it is
// reopened once more.
func TestReopenWhileAPartIsDown(t *testing.T) {
	w := newWorld(t)
	for _, tok := range []string{token("aa"), token("bb")} {
		w.enqueue("b", "0001", tok, "", 1)
	}
	b := control.Selection{Batch: "b"}
	if n, err := w.op.Cancel(w.ctx, b); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	down := shardDown{"aa"}
	w.rdb.AddHook(down)
	if n, err := w.op.Reopen(w.ctx, b); n != 1 || control.Unread(err) != 1 {
		t.Errorf("%d, %v", n, err)
	}
	if s, _ := w.op.Status(w.ctx, "b"); !s.Stopped {
		t.Errorf("%+v", s)
	}
	down[0] = "none"
	if n, err := w.op.Reopen(w.ctx, b); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if s := w.status("b"); s.Stopped {
		t.Errorf("%+v", s)
	}
}
