package api_test

import (
	"strings"
	"testing"

	"habilita/internal/schedule"
)

func TestSchedules(t *testing.T) {
	w := newWorld(t)
	var all list[struct{ Schedule, Status, Cron string }]
	w.get("/v1/schedules").want(t, 200, &all)
	if len(all.Items) != 0 {
		t.Errorf("%+v", all)
	}
	store := schedule.NewStore(w.rdb, "habilita")
	if err := store.Put(t.Context(), schedule.Definition{Name: "nightly", Cron: "0 2 * * *", Timezone: "America/Bogota"}, 3, "r1", false); err != nil {
		t.Fatal(err)
	}
	w.get("/v1/schedules").want(t, 200, &all)
	if len(all.Items) != 1 || all.Items[0].Schedule != "nightly" || all.Items[0].Status != "waiting" {
		t.Errorf("%+v", all)
	}
	w.get("/v1/schedules/nightly").want(t, 200, nil).says(t, "0 2 * * *")
	var did struct {
		Action, Schedule string
		Changed          bool
	}
	for _, c := range []struct {
		method, path string
		changed      bool
	}{{"POST", "/pause", true}, {"POST", "/pause", false}, {"POST", "/resume", true}, {"POST", "/resume", false}} {
		w.ask(c.method, "/v1/schedules/nightly"+c.path, "").want(t, 200, &did)
		if did.Schedule != "nightly" || did.Changed != c.changed {
			t.Errorf("%s: %+v", c.path, did)
		}
	}
	var run struct{ Schedule, Batch, Status string }
	r := w.ask("POST", "/v1/schedules/nightly/run", "").want(t, 202, &run)
	if !strings.HasPrefix(run.Batch, "nightly@") || r.header.Get("Location") != run.Status {
		t.Errorf("%+v %v", run, r.header)
	}
	w.get("/v1/schedules/nightly").want(t, 200, nil).says(t, `"asked"`)
	w.ask("POST", "/v1/schedules/nightly/run?overlap=maybe", "").want(t, 400, nil)
	w.ask("DELETE", "/v1/schedules/nightly", "").want(t, 200, nil).says(t, `"stopped_batch":"`+run.Batch+`"`)
	for _, c := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"POST", "/pause"}, {"POST", "/resume"}, {"POST", "/run"}} {
		w.ask(c[0], "/v1/schedules/nightly"+c[1], "").want(t, 404, nil)
	}
	var log list[struct{ Who, Action, Target, Result string }]
	w.get("/v1/actions").want(t, 200, &log)
	if len(log.Items) != 6 || log.Items[0].Action != "schedule remove" || log.Items[1].Action != "schedule run" || log.Items[0].Target != "schedule nightly" {
		t.Errorf("%+v", log)
	}
}
