package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/hibiken/asynq"

	"habilita/internal/control"
)

// A person may delete, archive or run asynq's tasks (with asynqmon, say), or pause the queue: still every
// call is made, once and in order.
func TestActingOnAsynqsTasksDoesNoHarm(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=1ms")
	l.Workers(1)
	queue := asynq.NewInspectorFromRedisClient(l.Client())
	must := func(_ int, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	first := Plan{Batch: "first", Rows: Many(1, 1, good)} // from now on asynq knows the queue
	l.Bulk(first)
	l.AwaitSettled(first.Batch, 0)
	must(0, queue.PauseQueue("habilita"))
	p := Plan{Batch: "paused", Rows: Many(60, 3, good)}
	l.Bulk(p)
	// The dispatcher hands over as many chains as ever, and no worker takes one.
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
	must(queue.ArchiveAllPendingTasks("habilita"))
	must(queue.RunAllArchivedTasks("habilita"))
	must(queue.DeleteAllPendingTasks("habilita"))
	pending(20) // dispatched again, under the next numbers
	must(queue.ArchiveAllPendingTasks("habilita"))
	must(0, queue.UnpauseQueue("habilita"))
	active, err := queue.ListActiveTasks("habilita")
	must(0, err)
	for _, task := range active {
		must(0, queue.CancelProcessing(task.ID))
	}
	must(queue.RunAllArchivedTasks("habilita")) // old and new ones together
	l.AwaitStatus(p.Batch, "all done", 0, func(s control.Status) bool { return s.Succeeded == 180 })
	v := l.MustKeep(Terms{}, first, p)
	if v.Succeeded != 181 {
		t.Errorf("%+v", v)
	}
}
