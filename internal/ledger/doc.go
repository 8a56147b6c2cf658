// Package ledger keeps the durable state of every call, chain and batch in Redis. That state is
// the truth; asynq only tells a worker that a chain can run.
//
// # States of a chain
//
//	         append                    dispatch                begin, with a grant
//	(idle) ─────────▶ ready ─────────────────▶ dispatched ─────────────────▶ running
//	  ▲                ▲ ▲                      │                      │ │ │
//	  │                │ └── not begun in time ─┘                      │ │ │
//	  │                │                        refused a grant        │ │ │
//	  │                ├────────── waiting ◀──── (slot, quota, ...) ───┤ │ │
//	  │                │ time is up      ▲                             │ │ │
//	  │                │                 └── back-off ─────────────────┘ │ │
//	  │                └── retry, skip ────── held ◀── given up ─────────┘ │
//	  └──────────────── no call is left ◀─────────── succeeded ────────────┘
//
// An idle chain has no key. The calls behind a chain's head are references in a
// list and records in a hash: they cost no worker and no polling.
//
// # Guarantees
//
//   - Every change is one script on keys of one hash tag, so a crash leaves no change
//     half done.
//   - The dispatch number fences the beginning of a run, and the attempt's nonce fences
//     its end: an older task or a late answer changes nothing.
//   - A result is recorded in the same step in which its chain advances.
//   - Each bucket counts its calls of a batch in the same step as the transition that
//     is counted. Readers add up the counts, so nothing has to move from one hash tag
//     to another.
//   - Calls are known by id: appending one again changes nothing.
//   - No script works on more than a slice (500 references, 200 records).
//
// # Time
//
// Each script takes the time from Redis, once. A worker's clock decides nothing.
//
// # Failures
//
// If Redis is away, every method returns its error and nothing is granted.
// If Redis is full, Append fails, no batch and no run begins, and all other scripts still work.
// If a worker dies, Dispatch finds its chain as soon as the lease has ended.
//
// # Batches
//
// Batches keeps what belongs to a batch as a whole: its name, its policy, when it was created, and
// which buckets of the ledger hold its calls. Counts and results are kept with the calls.
//
// A batch may have canaries: the calls of some tokens are enqueued first, and the others once the
// batch was released. The producer decides which tokens these are and when it releases the batch.
// Batches keeps their number and the release, so that both outlive the producer.
//
// Guarantees: a batch is created once; a second producer that names another policy is refused. A
// bucket is noted before a call of the batch is appended to it, so no call is in a bucket that is
// not noted. A batch is deleted only while no run of it lives and nobody may append to it. A
// producer that notes a bucket meanwhile prevents the deletion (see MayPurge); a bucket refuses an
// append that comes too late. Every method is one command on one key, or several commands whose
// order makes a crash between them harmless.
package ledger
