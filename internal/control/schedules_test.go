package control_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/schedule"
)

// addSchedule puts a schedule of every hour, with no rows behind it.
func (w *world) addSchedule(name string) *schedule.Store {
	w.t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: w.redis.Addr()})
	w.t.Cleanup(func() { _ = rdb.Close() })
	store := schedule.NewStore(rdb, "")
	d := schedule.Definition{Name: name, Cron: "0 * * * *", Timezone: "America/Bogota", Source: "ops.csv"}
	if err := store.Put(w.ctx, d, 3, "rev", false); err != nil {
		w.t.Fatal(err)
	}
	return store
}

func TestSchedules(t *testing.T) {
	w := newWorld(t)
	if all, err := w.op.Schedules(w.ctx); len(all) != 0 || err != nil {
		t.Errorf("none: %+v, %v", all, err)
	}
	store := w.addSchedule("hourly")
	one, err := w.op.Schedule(w.ctx, "hourly")
	if err != nil || one.Status != "waiting" || one.NextBatch != "hourly@2026-11-23T13:00-05:00" || !one.NextRun.Equal(start.Add(time.Hour)) {
		t.Fatalf("%+v, %v", one, err)
	}
	// A worker makes a run; its counts are told with it.
	st, err := store.Get(w.ctx, "hourly")
	if err != nil {
		t.Fatal(err)
	}
	const batch = "hourly@2026-11-23T13:00-05:00"
	claim, ok, err := store.MakeClaim(w.ctx, st, schedule.Decision{
		Action: schedule.Make, Kind: schedule.KindTick, Tick: start.Add(time.Hour), Batch: batch, Next: start.Add(2 * time.Hour),
	}, time.Minute)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	w.enqueue(batch, "0001", token("aa"), "", 2)
	one, err = w.op.Schedule(w.ctx, "hourly")
	if err != nil || one.Status != "enqueueing" || one.Current == nil || one.Current.Batch != batch || one.Current.BatchStatus.Total != 2 {
		t.Fatalf("%+v, %v", one, err)
	}
	var overlap *control.OverlapError
	if _, err := w.op.RunSchedule(w.ctx, "hourly", false); !errors.As(err, &overlap) || overlap.Batch != batch {
		t.Errorf("while one is enqueued: %v", err)
	}
	run := schedule.Run{Batch: batch, Kind: schedule.KindTick, Tick: start.Add(time.Hour).UnixMilli(), Result: schedule.ResultMade, Calls: 2, Passed: 1, Chains: 1}
	if err := store.Finish(w.ctx, st.ID, claim, run); err != nil {
		t.Fatal(err)
	}
	if _, err := w.op.RunSchedule(w.ctx, "hourly", false); !errors.As(err, &overlap) || !strings.Contains(err.Error(), "enqueue watch "+batch) {
		t.Errorf("before the last one has settled: %v", err)
	}
	w.attempt(token("aa"), done)
	w.attempt(token("aa"), done)
	asked, err := w.op.RunSchedule(w.ctx, "hourly", false)
	if err != nil || !strings.HasPrefix(asked, "hourly@run-2026-11-23T12:00:00") {
		t.Errorf("%q, %v", asked, err)
	}
	all, err := w.op.Schedules(w.ctx)
	if err != nil || len(all) != 1 || all[0].Status != "asked" || all[0].NextBatch != asked || len(all[0].Runs) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	if r := all[0].Runs[0]; r.PassedOver != 1 || r.Withheld != 1 || r.ChainsHeld != 1 || !r.BatchStatus.Settled || !r.BatchStatus.AllSucceeded() || r.FinishedAt.IsZero() {
		t.Errorf("%+v", r)
	}
	if b, err := json.Marshal(all[0]); err != nil || !strings.Contains(string(b), `"runs":[{"batch":"`+batch+`","kind":"tick","tick":"2026-11-23T18:00:00.000Z","result":"made"`) {
		t.Errorf("%s, %v", b, err)
	}
	if done, err := w.op.PauseSchedule(w.ctx, "hourly"); !done || err != nil {
		t.Error(done, err)
	}
	if one, err := w.op.Schedule(w.ctx, "hourly"); err != nil || !one.NextRun.IsZero() {
		t.Errorf("%+v, %v", one, err)
	}
	if done, err := w.op.ResumeSchedule(w.ctx, "hourly"); !done || err != nil {
		t.Error(done, err)
	}
	if stopped, err := w.op.RemoveSchedule(w.ctx, "hourly"); stopped != asked || err != nil {
		t.Error(stopped, err)
	}
}

func TestUnknownSchedule(t *testing.T) {
	w := newWorld(t)
	_, show := w.op.Schedule(w.ctx, "x")
	_, pause := w.op.PauseSchedule(w.ctx, "x")
	_, resume := w.op.ResumeSchedule(w.ctx, "x")
	_, run := w.op.RunSchedule(w.ctx, "x", false)
	_, remove := w.op.RemoveSchedule(w.ctx, "x")
	for _, err := range []error{show, pause, resume, run, remove} {
		var unknown *control.UnknownError
		if !errors.As(err, &unknown) || unknown.Name != "x" || !errors.Is(err, schedule.ErrNoSchedule) {
			t.Errorf("%v", err)
		}
	}
}

func TestScheduledCallsAreListed(t *testing.T) {
	w := newWorld(t)
	if o, err := w.op.Overview(w.ctx); o.Scheduled != 0 || !o.NextDue.IsZero() || err != nil {
		t.Error(o, err)
	}
	for range w.op.Scheduled(w.ctx) {
		t.Error("a scheduled call")
	}
}
