package api_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/schedule"
	"habilita/internal/testkit/redistest"
)

type list[T any] struct {
	Items []T
	Next  *string
}

type chainRow struct {
	Chain, State, Reason, Why string
	Behind                    int
	Head                      call
}

type decided struct {
	Action, Unit string
	Count        int
}

// hold makes a batch "a/b" of one held chain with two calls behind its head.
func (w *world) hold() (chainID string) {
	w.t.Helper()
	w.postCSV("/v1/batches?batch=a%2Fb", "server,token,id\n1,tok,x\n1,tok,y\n1,tok,z\n").want(w.t, 202, nil)
	w.attempt("tok", giveUp)
	return w.tokens.TokenID("tok")
}

func TestChains(t *testing.T) {
	w := newWorld(t)
	id := w.hold()
	w.postCSV("/v1/batches?batch=c", "server,token\n1,other\n").want(t, 202, nil)
	var all, held list[chainRow]
	w.get("/v1/chains").want(t, 200, &all)
	w.get("/v1/chains?state=held").want(t, 200, &held)
	if len(all.Items) != 2 || len(held.Items) != 1 {
		t.Fatalf("%+v %+v", all, held)
	}
	if c := held.Items[0]; c.Chain != id || c.State != "held" || c.Behind != 2 || c.Head.ID != "x" || !strings.Contains(c.Why, "PLEASE VALIDATE TOKEN") && !strings.Contains(c.Why, "refused") {
		t.Errorf("%+v", c)
	}
	var one chainRow
	w.get("/v1/chains/"+id).want(t, 200, &one)
	if one.Chain != id {
		t.Errorf("%+v", one)
	}
	w.get("/v1/chains/no-chain").want(t, 404, nil)
	w.get("/v1/chains/"+strings.Repeat("a", 24)).want(t, 404, nil)
	w.get("/v1/chains?state=x").want(t, 400, nil)
}

func TestDecisions(t *testing.T) {
	w := newWorld(t)
	id := w.hold()
	var d decided
	w.ask("POST", "/v1/chains/"+id+"/retry", "").want(t, 200, &d)
	if d.Action != "retry" || d.Count != 1 || d.Unit != "chain" {
		t.Errorf("%+v", d)
	}
	w.ask("POST", "/v1/chains/"+id+"/retry", "").want(t, 409, nil).says(t, "state=held")
	w.attempt("tok", giveUp)
	w.ask("POST", "/v1/batches/a%2Fb/skip", "").want(t, 200, &d)
	if d.Action != "skip" || d.Count != 1 {
		t.Errorf("%+v", d)
	}
	w.attempt("tok", done)
	w.ask("POST", "/v1/batches/a%2Fb/cancel", "").want(t, 200, &d)
	if d.Count != 1 || d.Unit != "call" {
		t.Errorf("%+v", d)
	}
	var s status
	w.get("/v1/batches/a%2Fb").want(t, 200, &s)
	if s.Total != 3 || s.Skipped != 1 || s.Succeeded != 1 || s.Cancelled != 1 || s.Open != 0 || !s.Settled {
		t.Errorf("%+v", s)
	}
	w.ask("POST", "/v1/batches/none/retry", "").want(t, 404, nil)
	w.ask("POST", "/v1/chains/none/skip", "").want(t, 404, nil)
	w.ask("POST", "/v1/chains/"+id+"/cancel", "").want(t, 404, nil) // it has nothing to do

	var log list[struct {
		ID, Who, Via, Action, Target, Result, Ended, Unit string
		Count, Of                                         int
	}]
	w.get("/v1/actions").want(t, 200, &log)
	if len(log.Items) != 4 || log.Items[3].Action != "enqueue" || log.Items[3].Target != "batch a/b" || log.Items[3].Result != "3 new of 3 rows" ||
		log.Items[3].Count != 3 || log.Items[3].Of != 3 || log.Items[3].Unit != "row" || log.Items[3].Ended != "done" {
		t.Fatalf("%+v", log)
	}
	if e := log.Items[0]; e.Who != "ana" || e.Via != "api" || e.Action != "cancel" || e.Target != "batch a/b" || e.Result != "1 call" {
		t.Errorf("%+v", e)
	}
	if e := log.Items[2]; e.Action != "retry" || e.Target != "chain "+id || e.Result != "1 chain" {
		t.Errorf("%+v", e)
	}
	w.get("/v1/actions?limit=2").want(t, 200, &log)
	if len(log.Items) != 2 || log.Next == nil {
		t.Fatalf("%+v", log)
	}
	w.get("/v1/actions?limit=2&cursor="+url.QueryEscape(*log.Next)).want(t, 200, &log)
	if len(log.Items) != 2 || log.Next != nil || log.Items[0].Action != "retry" {
		t.Errorf("%+v", log)
	}
	w.get("/v1/actions?cursor=x").want(t, 400, nil)
}

// Nothing reads a filter in the body of a decision, so that it must not be taken for one about everything.
func TestDecisionsTakeNoBody(t *testing.T) {
	w := newWorld(t)
	id := w.hold()
	for _, path := range []string{"/v1/batches/a%2Fb/skip", "/v1/batches/a%2Fb/cancel", "/v1/batches/a%2Fb/retry", "/v1/batches/a%2Fb/reopen", "/v1/chains/" + id + "/skip"} {
		for _, body := range []string{`{"reason":"server_error"}`, "[]", "x", "chain=y"} {
			w.postJSON(path, body).want(t, 400, nil).says(t, "takes no body")
		}
	}
	for _, path := range []string{"/v1/schedules/s/pause", "/v1/schedules/s/run"} {
		w.postJSON(path, `{"overlap":true}`).want(t, 400, nil).says(t, "takes no body")
	}
	w.ask("DELETE", "/v1/schedules/s", `{"dry_run":true}`).want(t, 400, nil).says(t, "takes no body")
	var s status
	if w.get("/v1/batches/a%2Fb").want(t, 200, &s); s.Failed != 1 || s.Open != 2 {
		t.Errorf("%+v", s)
	}
	for _, body := range []string{"{}", " {}\n", "\n"} {
		w.postJSON("/v1/batches/a%2Fb/retry", body).want(t, 200, nil)
	}
}

// A decision takes several steps. The caller hangs up before the first one is sent.
func TestDecisionsOutliveTheirCaller(t *testing.T) {
	w := newWorld(t)
	w.hold()
	d := schedule.Definition{Name: "nightly", Cron: "0 2 * * *", Timezone: "America/Bogota"}
	if err := schedule.NewStore(w.rdb, "habilita").Put(t.Context(), d, 3, "r1", false); err != nil {
		t.Fatal(err)
	}
	leave := func() {}
	w.rdb.AddHook(onCommand(func() { leave() }))
	for path, status := range map[string]int{"/v1/batches/a%2Fb/cancel": 200, "/v1/schedules/nightly/pause": 200, "/v1/schedules/nightly/run": 202} {
		var ctx context.Context
		ctx, leave = context.WithCancel(t.Context())
		defer leave()
		got := httptest.NewRecorder()
		w.api.ServeHTTP(got, httptest.NewRequestWithContext(ctx, "POST", path, nil))
		if ctx.Err() == nil || got.Code != status {
			t.Errorf("%s: %v, %d %s", path, ctx.Err(), got.Code, got.Body)
		}
	}
	var s status
	w.get("/v1/batches/a%2Fb").want(t, 200, &s)
	if s.Cancelled != 3 {
		t.Errorf("%+v", s)
	}
}

// onCommand is called before each command to Redis.
type onCommand func()

func (on onCommand) DialHook(next redis.DialHook) redis.DialHook { return next }
func (on onCommand) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { on(); return next(ctx, cmd) }
}
func (on onCommand) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { on(); return next(ctx, cmds) }
}

// While a part of the ledger is away, answers have the rest, say how much is missing, and a
// decision reaches what it can.
func TestAPartOfTheLedgerIsAway(t *testing.T) {
	w := newWorld(t)
	tag := func(token string) string { return ledger.Tag(w.tokens.TokenID(engine.Token(token))) }
	other := "other" // of another bucket: names differ from run to run
	for tag(other) == tag("tok") {
		other += "+"
	}
	w.postCSV("/v1/batches?batch=b", "server,token,id\n1,tok,x\n1,tok,y\n1,"+other+",z\n").want(t, 202, nil)
	w.attempt("tok", giveUp)
	w.attempt(other, giveUp)
	if err := redistest.Spoil(w.redis, "habilita:{"+tag(other)+"}:", "held", "tokens"); err != nil {
		t.Fatal(err)
	}
	type counts struct {
		Batch                       string
		Total, Failed, Open, Unread int
		Settled                     bool
	}
	type part[T any] struct {
		Items  []T
		Unread int
	}
	want := counts{Batch: "b", Total: 2, Failed: 1, Open: 1, Unread: 1}
	var one counts
	if w.get("/v1/batches/b").want(t, 200, &one); one != want {
		t.Errorf("%+v", one)
	}
	var all part[counts]
	if w.get("/v1/batches").want(t, 200, &all); len(all.Items) != 1 || all.Items[0] != want || all.Unread != 1 {
		t.Errorf("%+v", all)
	}
	for path, items := range map[string]int{"/v1/chains": 1, "/v1/tokens": 1, "/v1/batches/b/calls": 2} {
		var some part[any]
		if w.get(path).want(t, 200, &some); len(some.Items) != items || some.Unread != 1 {
			t.Errorf("%s: %+v", path, some)
		}
	}
	store := schedule.NewStore(w.rdb, "habilita")
	for _, name := range []string{"there", "away"} {
		d := schedule.Definition{Name: name, Cron: "0 2 * * *", Timezone: "America/Bogota"}
		if err := store.Put(t.Context(), d, 3, "r1", false); err != nil {
			t.Fatal(err)
		}
	}
	if err := redistest.Spoil(w.redis, "habilita:{s:"+schedule.ID("away")+"}:"); err != nil {
		t.Fatal(err)
	}
	var some part[struct{ Schedule string }]
	if w.get("/v1/schedules").want(t, 200, &some); len(some.Items) != 1 || some.Items[0].Schedule != "there" || some.Unread != 1 {
		t.Errorf("%+v", some)
	}
	var d struct{ Count, Unread int }
	if w.ask("POST", "/v1/batches/b/retry", "").want(t, 200, &d); d.Count != 1 || d.Unread != 1 {
		t.Errorf("%+v", d)
	}
	var log list[struct{ Result string }]
	if w.get("/v1/actions").want(t, 200, &log); len(log.Items) == 0 || log.Items[0].Result != "1 chain; 1 part of Redis could not be read" {
		t.Errorf("%+v", log)
	}
}

func TestTokensAndWorkers(t *testing.T) {
	w := newWorld(t)
	w.postCSV("/v1/batches?batch=b", rows(20)).want(t, 202, nil)
	w.attempt("token-3", done)
	var tokens list[struct {
		TokenID                      string `json:"token_id"`
		Used, Quota, Licenses, Slots int
	}]
	w.get("/v1/tokens?limit=5").want(t, 200, &tokens)
	if len(tokens.Items) != 5 || tokens.Next == nil {
		t.Fatalf("%+v", tokens)
	}
	rest := tokens
	rest.Items = nil
	w.get("/v1/tokens?cursor="+*tokens.Next).want(t, 200, &rest)
	used := 0
	for _, row := range append(tokens.Items, rest.Items...) {
		used += row.Used
		if row.Quota != 2000 || row.Licenses != 2 {
			t.Errorf("%+v", row)
		}
	}
	if len(rest.Items) != 2 || rest.Next != nil || used != 1 {
		t.Errorf("%+v", rest)
	}
	var workers list[struct {
		ID, Host string
		PID      int
	}]
	w.get("/v1/workers").want(t, 200, &workers)
	if len(workers.Items) != 0 { // the producer is none
		t.Errorf("%+v", workers)
	}
	me := membership.Self("worker")
	if _, err := membership.New(w.rdb, "habilita").Join(t.Context(), me, membership.Settings{}); err != nil {
		t.Fatal(err)
	}
	w.get("/v1/workers").want(t, 200, &workers)
	if len(workers.Items) != 1 || workers.Items[0].ID != me.ID || workers.Items[0].PID != me.PID {
		t.Errorf("%+v", workers)
	}
}
