package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/ledger"
)

// firstProgress is what a watcher sees first.
func (w *world) firstProgress(name string) control.Progress {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.ctx)
	defer stop()
	var got *control.Progress
	_, err := w.op.WaitProgress(ctx, name, 0, func(p control.Progress) {
		if got == nil {
			got = &p
		}
		stop()
	})
	if got == nil {
		w.t.Fatalf("nothing was seen: %v", err)
	}
	return *got
}

func TestProgressTellsWhatWaits(t *testing.T) {
	w := newWorld(t)
	w.enqueue("one", "0001", token("aa"), "", 2)
	w.enqueue("one", "0001", token("bb"), "", 1)
	w.enqueue("one", "0001", token("cc"), "", 1)
	w.enqueue("other", "0001", token("ad"), "", 5) // in a bucket of its own, and not of this batch
	w.attempt(token("aa"), giveUp)
	w.attempt(token("bb"), fail)
	id := ledger.BatchID("one")
	w.note(id, "dd")
	if _, err := w.ledger.Append(w.ctx, ledger.Append{Batch: id, Policy: "hold", Calls: []ledger.NewCall{
		{Token: token("dd"), Server: "0001", Key: ledger.UniqueKey("0"), Sealed: "sealed", At: start.Add(time.Hour)},
	}}); err != nil {
		t.Fatal(err)
	}
	p := w.firstProgress("one")
	got := map[string]control.Waiting{}
	for _, x := range p.Waiting {
		got[x.Reason] = x
	}
	for _, reason := range []string{"held", "back-off", "worker", "scheduled"} {
		if got[reason].Chains != 1 {
			t.Errorf("%s: %+v", reason, p.Waiting)
		}
	}
	if len(got) != 4 || p.Sampled || got["held"].Until != (control.Time{}) || !got["scheduled"].Until.Equal(start.Add(time.Hour)) {
		t.Errorf("got %+v", p)
	}
	if u := got["back-off"].Until; !u.After(start) || u.After(start.Add(2*time.Minute)) {
		t.Errorf("back-off until %s", u)
	}
	if text := strings.Join(p.LastErrors, "|"); len(p.LastErrors) != 2 || !strings.Contains(text, "refused") || !strings.Contains(text, "500 oops") {
		t.Errorf("errors %q", p.LastErrors)
	}
	b, err := json.Marshal(p)
	if err != nil || !strings.HasPrefix(string(b), `{"batch":"one","total":5,`) || !strings.Contains(string(b), `"rate":0,"eta_seconds":null,"waiting":[{"reason":`) {
		t.Errorf("%s, %v", b, err)
	}
}

// A sample has a limited size, and says that it is a sample.
func TestProgressSamples(t *testing.T) {
	w := newWorld(t)
	for i := range 40 {
		w.enqueue("one", "0001", token("aa"+string(rune('a'+i%25))+string(rune('a'+i/25))), "", 1)
	}
	if p := w.firstProgress("one"); !p.Sampled || len(p.Waiting) != 1 || p.Waiting[0].Chains != 8 || p.Total != 40 {
		t.Errorf("many in a bucket: %+v", p)
	}
	for i := range 40 {
		w.enqueue("two", "0001", token(ledger.TagAt(i*20+1)), "", 1)
	}
	if p := w.firstProgress("two"); !p.Sampled || p.Waiting[0].Chains != 16 {
		t.Errorf("many buckets: %+v", p)
	}
	for i := range 25 { // what has ended is no part of a sample
		w.attempt(token(ledger.TagAt(i*20+1)), done)
	}
	if p := w.firstProgress("two"); p.Sampled || p.Waiting[0].Chains != 15 {
		t.Errorf("few buckets are left: %+v", p)
	}
}

func TestProgressHasFewErrors(t *testing.T) {
	w := newWorld(t)
	for i := range 6 {
		tok := token(ledger.TagAt(i * 7))
		w.enqueue("one", "0001", tok, "", 1)
		o := giveUp
		o.Err = fmt.Sprint("refused ", i/2)
		w.attempt(tok, o)
	}
	s, err := w.op.WaitProgress(w.ctx, "one", 0, func(p control.Progress) {
		if len(p.LastErrors) != 3 || p.Waiting[0] != (control.Waiting{Reason: "held", Chains: 6}) || *p.ETASeconds != 0 {
			t.Errorf("got %+v", p)
		}
	})
	if err != nil || !s.Settled || s.HeldChains != 6 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A batch says when it begins, until it has begun.
func TestStatusTellsWhenABatchBegins(t *testing.T) {
	w := newWorld(t)
	due := time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)
	w.enqueue("other", "0001", token("aa"), "", 1)
	w.enqueue("one", "0001", token("bb"), "", 0)
	id := ledger.BatchID("one")
	put := func(n int, at time.Time) {
		t.Helper()
		if _, err := w.ledger.Append(w.ctx, ledger.Append{Batch: id, Policy: "hold", Calls: []ledger.NewCall{
			{Token: token("bb"), Server: "0001", Key: ledger.UniqueKey(fmt.Sprint(n)), Sealed: "sealed", At: at},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	put(0, due)
	put(1, due.Add(time.Hour))
	if s := w.status("one"); !s.DueAt.Equal(due) || !s.PutOff || s.Settled {
		t.Errorf("all put off: %+v", s)
	}
	put(2, time.Time{})
	if s := w.status("one"); !s.DueAt.Equal(due.Add(time.Hour)) || s.PutOff {
		t.Errorf("begun: %+v", s)
	}
	if s := w.status("other"); !s.DueAt.IsZero() || s.PutOff {
		t.Errorf("of another batch: %+v", s)
	}
	if _, err := w.op.Cancel(w.ctx, control.Selection{Batch: "one"}); err != nil {
		t.Fatal(err)
	}
	if s := w.status("one"); !s.DueAt.IsZero() || !s.Stopped || !s.Settled {
		t.Errorf("cancelled: %+v", s)
	}
}
