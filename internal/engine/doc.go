// Package engine makes the calls. The worker runs it; package tasks, the commands and the API
// enqueue calls through it.
//
// A [Producer] appends calls to the ledger in Redis: one ([Producer.Enqueue]) or many
// ([Producer.EnqueueBatch]). A [Worker] makes them. Between the two, asynq carries tasks
// of type [TypeRun]. Each task says that a chain can run:
//
//	Producer ── append ──▶ ledger ──▶ dispatcher ──▶ asynq ──▶ handler ──▶ vendor
//	                         ▲           ▲                   │
//	                         │           └── signalled, due ─┤
//	                         └────── outcome, advance ───────┘
//
// The handler takes a run through four steps: begin (one script: fence, slot, quota, attempt),
// send, judge the answer, and finish (one script: outcome, slot, advance, the next begin).
// The run then goes on with the chain's next call, while no other chain waits for a worker.
//
// # What happens on each failure
//
//   - The producer dies: the calls that it appended are made. To enqueue the rest, enqueue
//     the batch again.
//   - The worker dies before it begins: the chain is dispatched again after 10 s.
//   - The worker dies after it began: the call's outcome is unknown. The chain is dispatched
//     again when the lease of the call has ended.
//   - Redis goes away: nothing is sent. The worker tries to record an outcome until Redis
//     takes it, or the process ends.
//   - asynq delivers a task twice: the dispatch number makes the second one do nothing.
//   - asynq loses a task: the chain did not begin, so the dispatcher dispatches it again.
//   - A task can't be read, or a token can't be opened: the log names it, and it is set
//     aside (the task in asynq's archive, the chain held). Other chains go on.
package engine
