// Package schedule keeps recurring runs in Redis: what is to be enqueued (rows, sealed),
// when (cron in a time zone), what became of the last runs, and which worker makes the
// one that is due. It enqueues nothing itself: package engine does, with the calls that
// Rows gives back.
//
// # States of a schedule
//
//	        put                    its next tick is due, or a person asked
//	(none) ─────▶ waiting ──────────────────────────────────────▶ claimed
//	               ▲  │ ▲ ▲                                       │ │   ▲
//	               │  │ │ └──────────── finish ───────────────────┘ │   │ lease ended,
//	               │  │ └── skip: its last run has not settled,     └───┘ or given back: take
//	        resume │  │ pause      or the tick was missed
//	               │  ▼
//	              paused (a run that is asked for is made all the same)
//
// # Guarantees
//
//   - A tick is claimed once: the claim moves the next tick on in the same script, and
//     is refused if anything changed since the worker looked (the version).
//   - A claim has a number and a lease. Every write of a run names the number: a worker
//     that was stopped for longer than the lease, and whose run was taken over, changes
//     nothing any more. The calls that it may still append are those that the other
//     worker appends too: a run is a batch of its own, and enqueueing a batch again adds
//     only what is missing.
//   - Which chains are passed over is decided once for a run and kept with its claim, so
//     that all workers that make the run enqueue the same calls in the same order.
//   - Rows of one revision never change: replacing them writes others. They lie in
//     chunks of up to 500 rows, each sealed as a whole, and are read chunk by chunk.
//
// # Time
//
// Ticks are judged by the clock of Redis, in ms; workers' clocks decide nothing. See
// Timetable for the hours that a change of the clocks skips or doubles.
//
// # Failures
//
// All keys of a schedule share one hash tag, and every change is one script on it. If
// adding a schedule is cut off, there is no schedule, and its rows go after a day. If
// Redis is away, every method returns its error.
package schedule
