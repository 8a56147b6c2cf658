package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/hibiken/asynq"

	"habilita/internal/engine"
	"habilita/internal/vault"
)

// Tasks that no worker can carry out are reported and set aside; others go on.
func TestPoisonTasks(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=0")
	client := asynq.NewClientFromRedisClient(l.Client())
	for i, task := range []*asynq.Task{
		asynq.NewTask("email:welcome", []byte(`{}`)),
		asynq.NewTask(engine.TypeRun, []byte(`{"v":99,"chain":"aaaaaaaaaaaaaaaaaaaaaaaa","feed":"1"}`)),
		asynq.NewTask(engine.TypeRun, []byte("\x00\xff not JSON")),
		asynq.NewTask(engine.TypeRun, []byte(`{"v":1,"chain":"x","feed":"1"}`)),
	} {
		if _, err := client.Enqueue(task, asynq.Queue("habilita"), asynq.MaxRetry(25)); err != nil {
			t.Fatal(i, err)
		}
	}
	p := Plan{Batch: "poison", Rows: Many(10, 3, good)}
	l.Bulk(p)
	w := l.Workers(1)[0]
	if st := l.AwaitSettled(p.Batch, 0); st.Succeeded != 30 {
		t.Errorf("%+v", st)
	}
	inspector := asynq.NewInspectorFromRedisClient(l.Client())
	l.Await("four tasks set aside", 0, func(context.Context) (bool, string) {
		archived, err := inspector.ListArchivedTasks("habilita")
		return err == nil && len(archived) == 4, "not yet"
	})
	for _, want := range []string{"email:welcome", "version 99", "no JSON object", "names no chain"} {
		w.WaitLine(want, Patience)
	}
	if _, metrics := w.Get("/metrics"); !strings.Contains(metrics, "habilita_tasks_set_aside_total 4") {
		t.Error("the metrics do not count them")
	}
	l.MustKeep(Terms{}, p)
}

// If a token's sealing key is gone, its chain is held with a reason that names the key, and
// others go on. When the key is back, a retry makes the call.
func TestSealingKeyGone(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=0")
	stays, err := vault.GenerateKey("stays")
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := vault.GenerateKey("leaves")
	if err != nil {
		t.Fatal(err)
	}
	l.Set("HABILITA_KEYS", stays)
	first := Plan{Batch: "first", Rows: Many(3, 2, good)}
	l.Bulk(first)
	l.Set("HABILITA_KEYS", leaves+","+stays)
	gone := Plan{Batch: "gone", Rows: Many(2, 2, func(i int) string { return "other-" + good(i) })}
	l.Bulk(gone)
	l.Set("HABILITA_KEYS", stays)
	w := l.Workers(1)[0]
	if st := l.AwaitSettled(first.Batch, 0); st.Succeeded != 6 {
		t.Errorf("%+v", st)
	}
	if st := l.AwaitSettled(gone.Batch, 0); st.HeldChains != 2 || st.Failed != 2 || st.Open != 2 {
		t.Errorf("%+v", st)
	}
	for _, c := range l.Chains(true) {
		if !strings.Contains(c.Why, `"leaves"`) || !strings.Contains(c.Why, "HABILITA_KEYS") {
			t.Errorf("%+v", c)
		}
	}
	if n := l.Vendor.Account().Totals.Requests; n != 6 {
		t.Errorf("%d requests", n)
	}
	w.Term()
	if code := w.Wait(Patience); code != 0 {
		t.Errorf("exit %d", code)
	}
	l.Set("HABILITA_KEYS", stays+","+leaves)
	l.Workers(1)
	decide(l, "retry", "--batch", gone.Batch)
	if st := l.AwaitSettled(gone.Batch, 0); st.Succeeded != 4 {
		t.Errorf("%+v", st)
	}
	l.MustKeep(Terms{}, first, gone)
}
