package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"habilita/e2e"
	"habilita/internal/control"
)

func producerRows(of func(whole, ci int) int) []row {
	return []row{
		{
			name: "kill -9 of the producer in mid bulk, then the same again", dose: fmt.Sprint(of(20, 2), " kills"), took: 30 * second,
			units: shared(of(20, 2), 5, killProducer),
		},
		{
			name: "two producers of the same batch at once", dose: fmt.Sprint(of(3, 1), " times 2 × 4,000 rows"), took: 20 * second,
			units: shared(of(3, 1), 1, func(u *unit, _ int) { twoProducers(u) }),
		},
	}
}

// bulkArgs writes a plan's file and returns the command line that enqueues it.
func (w *world) bulkArgs(p e2e.Plan) []string {
	file := w.l.File(p.Batch+".csv", p.CSV())
	return []string{"bulk", file, "--batch", p.Batch, "--json", "--progress", "none"}
}

// killProducer kills a bulk of 12,000 rows at random moments, and runs it again. The calls of
// the last batch are made meanwhile. The others are cancelled after the count, since their
// requests would prove nothing new.
func killProducer(u *unit, n int) {
	const tokens, each = 60, 200
	w := newWorld(u, nil, "--latency=0", "--jitter=0")
	w.chains = 2
	probe := w.plan(tokens, each)
	began := time.Now()
	w.l.Bulk(probe)
	whole := time.Since(began)
	w.l.MustEnqueue("cancel", "--batch", probe.Batch)
	part, all := 0, 0
	for i := range n {
		last := i == n-1
		if last {
			w.l.Workers(2)
		}
		p := w.plan(tokens, each)
		args := w.bulkArgs(p)
		producer := w.l.StartEnqueue(args...)
		if i%2 == 0 {
			w.l.AwaitStatus(p.Batch, "first rows in the ledger", longWait, func(s control.Status) bool { return s.Total > 0 })
		}
		pause(u.between(0, whole/2))
		producer.Kill()
		before := 0
		if st, err := w.l.Operator().Status(w.Context(), p.Batch); err == nil {
			before = st.Total
		}
		switch before {
		case 0:
		case len(p.Rows):
			all++
		default:
			part++
		}
		s := w.l.Bulk(p)
		if s.Duplicates != before || s.Enqueued+s.Duplicates != len(p.Rows) {
			w.violation("I6", "%d were in the ledger, then %+v", before, s)
		}
		// The report at the end shows whether every row is there exactly once.
		if !last {
			w.l.MustEnqueue("cancel", "--batch", p.Batch)
		}
	}
	u.sum.note("%d of %d kills with a part of the rows in the ledger, %d with all", part, n, all)
	w.settle()
	v := w.judge(true)
	if v.Succeeded != tokens*each || v.Cancelled != n*tokens*each || v.Requests != v.Succeeded {
		w.violation("I4", "%+v", v)
	}
}

// twoProducers enqueues the same file with two processes at once.
func twoProducers(u *unit) {
	w := newWorld(u, nil, "--latency=0", "--jitter=0")
	w.l.Workers(2)
	p := w.plan(40, 100)
	args := w.bulkArgs(p)
	producers := []*e2e.Process{w.l.StartEnqueue(args...), w.l.StartEnqueue(args...)}
	enqueued, duplicates := 0, 0
	for _, process := range producers {
		code := process.Wait(longWait)
		w.must(code == 0, "exit %d\n%s", code, process.Tail(5))
		log := process.Log()
		var s e2e.Summary
		err := json.Unmarshal([]byte(log[strings.LastIndex(log, "\n")+1:]), &s)
		w.must(err == nil, "%v: %s", err, log)
		enqueued += s.Enqueued
		duplicates += s.Duplicates
	}
	if enqueued != len(p.Rows) || duplicates != len(p.Rows) {
		w.violation("I6", "%d enqueued, %d duplicates of %d rows", enqueued, duplicates, len(p.Rows))
	}
	if v := w.finish(); v.Requests != len(p.Rows) {
		w.violation("I5", "%d requests for %d rows", v.Requests, len(p.Rows))
	}
}
