package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"github.com/hibiken/asynq"
	"github.com/rs/zerolog"

	"habilita/e2e"
	"habilita/internal/engine"
	"habilita/internal/vault"
)

func poisonRows(of func(whole, ci int) int) []row {
	return []row{
		{name: "poison: task of unknown type, of a later version, not readable", dose: "4 tasks", took: 10 * second, units: optional(true, poisonTasks)},
		{name: "poison: token whose sealing key is gone", dose: "8 chains of 24", took: 10 * second, units: optional(true, keyGone)},
		{name: "poison: panic in the handler", dose: fmt.Sprint(of(5, 1), " calls that panic at every attempt"), took: 30 * second,
			units: optional(true, func(u *unit) { panicking(u, of(5, 1)) })},
	}
}

// poisonTasks puts tasks into the queue that no worker can carry out.
func poisonTasks(u *unit) {
	w := newWorld(u, nil)
	client := asynq.NewClientFromRedisClient(w.l.Client())
	for _, task := range []*asynq.Task{
		asynq.NewTask("email:welcome", []byte(`{}`)),
		asynq.NewTask(engine.TypeRun, []byte(`{"v":99,"chain":"aaaaaaaaaaaaaaaaaaaaaaaa","feed":"1"}`)),
		asynq.NewTask(engine.TypeRun, []byte("\x00\xff not JSON")),
		asynq.NewTask(engine.TypeRun, []byte(`{"v":1,"chain":"x","feed":"1"}`)),
	} {
		_, err := client.Enqueue(task, asynq.Queue("habilita"), asynq.MaxRetry(25))
		w.must(err == nil, "%v", err)
	}
	w.topUp()
	worker := w.l.Workers(1)[0]
	for _, named := range []string{"email:welcome", "version 99", "no JSON object", "names no chain"} {
		worker.WaitLine(named, longWait)
	}
	inspector := asynq.NewInspectorFromRedisClient(w.l.Client())
	w.l.Await("four tasks set aside", longWait, func(context.Context) (bool, string) {
		aside, err := inspector.ListArchivedTasks("habilita")
		return err == nil && len(aside) == 4, fmt.Sprint(len(aside), err)
	})
	w.looks(worker)
	w.finish()
}

// keyGone enqueues under a sealing key that the workers do not have.
func keyGone(u *unit) {
	w := newWorld(u, nil)
	gone, err := vault.GenerateKey("gone")
	w.must(err == nil, "%v", err)
	w.l.Set("HABILITA_KEYS", w.l.Keys)
	w.l.Bulk(w.planOf(rowsOf(w, 16, 0, 6))) // this makes the token-ID key
	w.l.Set("HABILITA_KEYS", gone+","+w.l.Keys)
	w.l.Bulk(w.planOf(rowsOf(w, 8, 16, 6)))
	w.l.Set("HABILITA_KEYS", w.l.Keys)
	first := w.l.Workers(2)
	w.settle()
	held := w.l.Chains(true)
	if len(held) != 8 {
		w.violation("I4", "%d chains are held, want 8", len(held))
	}
	for _, c := range held {
		if !strings.Contains(c.Why, `"gone"`) || !strings.Contains(c.Why, "HABILITA_KEYS") {
			w.violation("I4", "the reason does not name the key: %q", c.Why)
		}
	}
	for _, worker := range first {
		worker.Term()
		w.must(worker.Wait(longWait) == 0, "%s failed", worker.Name)
	}
	// When the key is back, a retry makes the calls.
	w.l.Set("HABILITA_KEYS", w.l.Keys+","+gone)
	w.l.Workers(2)
	w.l.MustEnqueue("retry", "--all")
	w.finish()
}

// rowsOf makes calls for tokens from a number on, one chain each.
func rowsOf(w *world, tokens, from, each int) []e2e.Row {
	return e2e.Many(tokens, each, func(i int) string { return w.token(from + i) })
}

// panicking runs a worker in this process. Its log panics in the handler at the lines of
// certain calls: after the vendor's answer and before the outcome is recorded.
func panicking(u *unit, n int) {
	const attempts = 2
	w := newWorld(u, nil)
	w.each = 12
	w.topUp()
	var ids []string
	for i := range n {
		var call struct{ ID string }
		w.l.JSON(w.l.EnqueueWith([]string{"WOLKVOX_TOKEN", w.token(1000 + i)}, "",
			"call", "--server", "1", "--batch", "panic", "--id", fmt.Sprint("panic-", i), "--ref", fmt.Sprintf("row-%07d", i), "--json"), &call)
		ids = append(ids, call.ID)
	}
	w.plans = append(w.plans, e2e.Plan{Batch: "panic", Rows: make([]e2e.Row, n)})
	log, err := os.Create(w.l.Dir + "/inside.log")
	w.must(err == nil, "%v", err)
	defer func() { _ = log.Close() }()
	trap := &panicWriter{to: log, ids: ids}
	trap.armed.Store(true)
	o := engine.WorkerOptions{Concurrency: 24, MaxAttempts: attempts, Log: zerolog.New(trap).Level(zerolog.InfoLevel)}
	o.Keys = w.l.Keys
	o.VendorTimeout = 2 * second
	in := e2e.StartInside(u.TB, w.l.Redis.URL, w.l.Vendor.URL, o)
	w.settle()
	held := w.l.Chains(true)
	if len(held) != n || trap.panics.Load() != int64(n*attempts) {
		w.violation("I4", "%d chains held after %d panics, want %d after %d", len(held), trap.panics.Load(), n, n*attempts)
	}
	for _, c := range held {
		if !strings.Contains(c.Why, "unknown outcome") {
			w.violation("I4", "the reason says nothing of it: %q", c.Why)
		}
	}
	text, err := os.ReadFile(log.Name())
	if err != nil || strings.Count(string(text), "panic") < n*attempts {
		w.violation("I4", "the log does not name the panics")
	}
	// When the log no longer panics, a retry makes the calls.
	trap.armed.Store(false)
	w.l.MustEnqueue("retry", "--all")
	w.settle()
	w.terms.Lost = n * attempts // answered, but not recorded
	w.must(in.Stop() == nil, "the worker failed")
	w.judge(false)
	u.sum.unknown += n * attempts
}

// panicWriter panics if a log line of the handler is about certain calls.
type panicWriter struct {
	to     *os.File
	ids    []string
	armed  atomic.Bool
	panics atomic.Int64
}

func (w *panicWriter) Write(line []byte) (int, error) {
	for _, id := range w.ids {
		if w.armed.Load() && bytes.Contains(line, []byte(`"call":"`+id+`"`)) {
			w.panics.Add(1)
			panic("a panic of the test in the handler")
		}
	}
	return w.to.Write(line)
}
