package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"habilita/internal/control"
)

// Who deletes, archives or runs asynq's tasks at its pages, or pauses the queue, takes
// nothing from anybody: every call is made, once and in order.
func TestQueuesPagesDoNoHarm(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=1ms")
	w := l.Workers(1)[0]
	act := func(method, path string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.Addr()+"/asynq/api/queues/habilita"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	want := func(method, path string, status int) {
		t.Helper()
		if got := act(method, path); got != status {
			t.Errorf("%s %s: %d", method, path, got)
		}
	}
	first := Plan{Batch: "first", Rows: Many(1, 1, good)} // from now on asynq knows the queue
	l.Bulk(first)
	l.AwaitSettled(first.Batch, 0)
	want("POST", ":pause", http.StatusNoContent)
	p := Plan{Batch: "paused", Rows: Many(60, 3, good)}
	l.Bulk(p)
	// The dispatcher hands over as many chains as it ever does, and nobody takes one.
	pending := func(least int) {
		t.Helper()
		l.Await(fmt.Sprint(least, " pending tasks"), 0, func(ctx context.Context) (bool, string) {
			n := l.Client().LLen(ctx, "asynq:{habilita}:pending").Val()
			return int(n) >= least, fmt.Sprint(n)
		})
	}
	pending(60)
	if st := l.Status(p.Batch); st.Succeeded != 0 {
		t.Errorf("made while paused: %+v", st)
	}
	if status, body := w.Get("/asynq/api/queues/habilita/pending_tasks"); status != http.StatusOK || len(body) < 1000 {
		t.Errorf("pending tasks: %d %.200s", status, body)
	}
	want("POST", "/pending_tasks:archive_all", http.StatusOK)
	want("POST", "/archived_tasks:run_all", http.StatusOK)
	want("DELETE", "/pending_tasks:delete_all", http.StatusOK)
	pending(20) // dispatched again, under the next numbers
	want("POST", "/pending_tasks:archive_all", http.StatusOK)
	want("POST", ":resume", http.StatusNoContent)
	want("POST", "/active_tasks:cancel_all", http.StatusNoContent)
	want("POST", "/archived_tasks:run_all", http.StatusOK) // old and new ones together
	l.AwaitStatus(p.Batch, "all done", 0, func(s control.Status) bool { return s.Succeeded == 180 })
	v := l.MustKeep(Terms{}, first, p)
	if v.Succeeded != 181 {
		t.Errorf("%+v", v)
	}
}
