package control_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"habilita/internal/ledger"

	"habilita/internal/control"
)

func TestStatusJSONIsTheContract(t *testing.T) {
	w := newWorld(t)
	w.enqueue("one", "0001", token("aa"), "", 3)
	w.attempt(token("aa"), done)
	got, err := json.Marshal(w.status("one"))
	if err != nil {
		t.Fatal(err)
	}
	const open = `{"batch":"one","total":3,"succeeded":1,"failed":0,"skipped":0,"cancelled":0,"open":2,"held_chains":0,` +
		`"settled":false,"complete":false,"created_at":"2026-11-23T17:00:00.000Z","settled_at":null,"due_at":null,"on_failure":"hold"}`
	if string(got) != open {
		t.Errorf("got  %s\nwant %s", got, open)
	}
	w.attempt(token("aa"), giveUp)
	got, err = json.Marshal(w.status("one"))
	if err != nil {
		t.Fatal(err)
	}
	const held = `{"batch":"one","total":3,"succeeded":1,"failed":1,"skipped":0,"cancelled":0,"open":1,"held_chains":1,` +
		`"settled":true,"complete":false,"created_at":"2026-11-23T17:00:00.000Z","settled_at":"2026-11-23T17:00:00.000Z","due_at":null,"on_failure":"hold"}`
	if string(got) != held {
		t.Errorf("got  %s\nwant %s", got, held)
	}
}

func TestUnknownBatchSaysWhatToType(t *testing.T) {
	w := newWorld(t)
	_, err := w.op.Status(w.ctx, "nope")
	var unknown *control.UnknownError
	if !errors.As(err, &unknown) || !errors.Is(err, ledger.ErrNoBatch) || !strings.Contains(err.Error(), "enqueue batches") {
		t.Errorf("got %v", err)
	}
	for _, err := range w.op.Report(w.ctx, "nope") {
		if !errors.As(err, &unknown) {
			t.Errorf("report: %v", err)
		}
	}
	for _, s := range []control.Selection{{Batch: "nope"}} {
		if _, err := w.op.Cancel(w.ctx, s); !errors.As(err, &unknown) {
			t.Errorf("cancel: %v", err)
		}
		if _, err := w.op.Retry(w.ctx, s); !errors.As(err, &unknown) {
			t.Errorf("retry: %v", err)
		}
	}
}

func TestReportAndShow(t *testing.T) {
	w := newWorld(t)
	w.enqueue("one", "0001", token("aa"), "", 2)
	w.enqueue("one", "0002", token("bb"), "night", 1)
	w.attempt(token("aa"), done)
	var got []control.CallRecord
	for r, err := range w.op.Report(w.ctx, "one") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	slices.SortFunc(got, func(a, b control.CallRecord) int { return strings.Compare(a.ID, b.ID) })
	if len(got) != 3 || got[0].State != "succeeded" || got[1].State != "queued" || got[2].Chain != token("bb")+":night" {
		t.Fatalf("got %+v", got)
	}
	b, err := json.Marshal(got[0])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"` + got[0].ID + `","server":"0001","token_id":"` + token("aa") + `","ref":"ref 0","chain":"` + token("aa") +
		`","state":"succeeded","attempts":1,"code":"202","msg":"enabled","error":"",` +
		`"enqueued_at":"2026-11-23T17:00:00.000Z","started_at":"2026-11-23T17:00:00.000Z","finished_at":"2026-11-23T17:00:00.000Z","row":0,"reason":""}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	if len(control.Columns()) != len(control.Fields(got[0])) {
		t.Error("columns and fields differ in number")
	}
	shown, err := w.op.Show(w.ctx, got[0].ID)
	if err != nil || len(shown) != 1 || shown[0].ID != got[0].ID {
		t.Fatalf("show: %+v, %v", shown, err)
	}
	if name, err := w.op.BatchName(w.ctx, shown[0]); name != "one" || err != nil {
		t.Errorf("batch name %q, %v", name, err)
	}
	// A batch whose retention has just ended has no name, and that is not an error.
	w.redis.Del("habilita:batch:" + ledger.BatchID("one"))
	if name, err := w.op.BatchName(w.ctx, shown[0]); name != "" || err != nil {
		t.Errorf("batch name %q, %v", name, err)
	}
	if _, err := w.op.Show(w.ctx, "nope"); !errors.Is(err, ledger.ErrNoCall) {
		t.Errorf("show of an unknown id: %v", err)
	}
}

func TestBatchesNewestFirst(t *testing.T) {
	w := newWorld(t)
	w.enqueue("one", "0001", token("aa"), "", 2)
	w.enqueue("two", "0001", token("aa"), "", 1)
	total := map[string]int{}
	for s, err := range w.op.Batches(w.ctx) {
		if err != nil {
			t.Fatal(err)
		}
		total[s.Batch] = s.Total
	}
	if len(total) != 2 || total["one"] != 2 || total["two"] != 1 {
		t.Errorf("got %v", total)
	}
}

func TestChainsSayWhy(t *testing.T) {
	w := newWorld(t)
	w.enqueue("one", "0001", token("aa"), "", 3)
	if c := w.chains(false); len(c) != 1 || c[0].State != "ready" || c[0].Behind != 2 || c[0].Why != "can run; waits for a worker" {
		t.Errorf("ready: %+v", c)
	}
	w.attempt(token("aa"), fail)
	c := w.chains(false)
	if len(c) != 1 || c[0].Reason != "back-off" || c[0].Why != "failed and is tried again: 500 oops" ||
		c[0].Until.String() != "2026-11-23T17:01:00.000Z" {
		t.Errorf("back-off: %+v", c)
	}
	if got := w.chains(true); got != nil {
		t.Errorf("held: %+v", got)
	}

	w.enqueue("one", "0001", token("bb"), "", 1)
	until := start.Add(1000000000 * 60)
	if _, err := w.limiter.Cool(w.ctx, token("bb"), until, "TOKEN LIMIT EXCEEDED", 0); err != nil {
		t.Fatal(err)
	}
	w.attempt(token("bb"), done)
	if c := w.chains(false)[1]; c.Reason != "cooling" || c.Why != "its token cools down: TOKEN LIMIT EXCEEDED" {
		t.Errorf("cooling: %+v", c)
	}

	w.enqueue("one", "0001", token("cc"), "", 2)
	w.redis.Set("habilita:{cc}:used:"+token("cc")+":20261123", "1000")
	w.attempt(token("cc"), done)
	if c := w.chains(false)[2]; c.Reason != "quota" || c.Why != "waits for tomorrow's quota" || !strings.HasPrefix(c.Until.String(), "2026-11-24T05:00:0") {
		t.Errorf("quota: %+v", c)
	}

	w.enqueue("one", "0001", token("dd"), "", 1)
	w.attempt(token("dd"), giveUp)
	held := w.chains(true)
	if len(held) != 1 || !held[0].Held() || held[0].Why != "held: gave up after 1 attempt; wolkvox answered 403 PLEASE VALIDATE TOKEN" || !held[0].Until.IsZero() {
		t.Errorf("held: %+v", held)
	}
}

func TestQuotaRows(t *testing.T) {
	w := newWorld(t)
	w.enqueue("one", "0001", token("bb"), "", 1)
	w.enqueue("one", "0001", token("aa"), "", 2)
	if err := w.limiter.SetLicenses(w.ctx, token("aa"), 5); err != nil {
		t.Fatal(err)
	}
	w.attempt(token("aa"), ledger.Outcome{})
	rows, err := w.op.Quota(w.ctx)
	if err != nil || len(rows) != 2 {
		t.Fatalf("%+v, %v", rows, err)
	}
	if r := rows[0]; r.TokenID != token("aa") || r.Used != 1 || r.Quota != 5000 || r.Licenses != 5 || r.Slots != 1 {
		t.Errorf("got %+v", r)
	}
	if r := rows[1]; r.TokenID != token("bb") || r.Used != 0 || r.Quota != 1000 || r.Slots != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestTimeRoundTrip(t *testing.T) {
	for _, want := range []control.Time{{}, {Time: start}} {
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got control.Time
		if err := json.Unmarshal(b, &got); err != nil || !got.Equal(want.Time) {
			t.Errorf("%s: got %v, %v", b, got, err)
		}
	}
}
