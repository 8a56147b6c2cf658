// Package engine makes the calls: it is what the worker runs, and what package tasks, the commands
// and the API enqueue with.
//
// A [Producer] appends calls to the ledger in Redis: one ([Producer.Enqueue]), or many
// ([Producer.EnqueueBatch]). A [Worker] makes them. Between the two, asynq carries tasks
// of type [TypeRun], each saying that a chain can run:
//
//	Producer ── append ──▶ ledger ──▶ dispatcher ──▶ asynq ──▶ handler ──▶ vendor
//	                         ▲           ▲                   │
//	                         │           └── signalled, due ─┤
//	                         └────── outcome, advance ───────┘
//
// The life of a run, in the handler: begin (fence, slot, quota, attempt: one script),
// send, judge the answer, finish (outcome, slot, advance, the next begin: one script),
// and so on with the chain's next call while no other chain waits for a worker.
//
// # What happens on each failure
//
//   - The producer dies: what it appended is made; the rest is enqueued by enqueueing
//     the batch again.
//   - The worker dies before it begins: the chain is dispatched again after 10 s.
//   - The worker dies after it began: the call's outcome is unknown; the chain is dispatched
//     again when the lease of the call has ended.
//   - Redis goes away: nothing is sent. An outcome that can't be recorded is tried again
//     until it can be, or the process ends.
//   - asynq loses or doubles a task: the dispatch number makes the second one do nothing,
//     and the dispatcher dispatches a chain again that did not begin.
//   - A task can't be read, or a token can't be opened: it is named in the log, and set
//     aside (the task in asynq's archive, the chain held); others go on.
package engine
