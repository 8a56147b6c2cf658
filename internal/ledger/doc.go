// Package ledger keeps the durable state of every call, chain and batch in Redis. It is the
// truth of habilita; asynq only brings the news that a chain can run to a worker.
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
//   - Every change is one script on keys of one hash tag, so a crash between two
//     steps leaves no state in between.
//   - The dispatch number fences the beginning of a run, the nonce of the attempt its
//     end: what an older task or a late answer writes changes nothing.
//   - A result is recorded in the same step in which its chain advances.
//   - Counts of a batch are kept for each bucket in the same step as the transition
//     they count and are added up when they are read, so that nothing has to be
//     carried from one hash tag to another.
//   - Calls are known by id: appending one again changes nothing.
//   - No script works on more than a slice (500 references, 200 records).
//
// # Time
//
// Scripts take the time from Redis, once. A worker's clock decides nothing.
//
// # Failures
//
// If Redis is away, every method returns its error and nothing is granted.
// If Redis is full, Append fails, no batch and no run begins, and all other scripts still work.
// If a worker dies, Dispatch finds its chain as soon as the lease has ended.
//
// # Batches
//
// Batches keeps what is known of a batch as a whole: its name, policy, when it was created and
// which buckets of the ledger hold calls of it. Counts and results are kept with the calls.
//
// A batch may have canaries: of such a batch, the calls of some tokens are enqueued
// first, and the others once it was released. Which tokens these are, and when it is
// released, is its producer's to say; it is kept here so that it outlives the producer.
//
// Guarantees: a batch is created once; a second producer that names another policy is
// refused. A bucket is noted before a call of the batch is appended to it, so that no
// call is in a bucket that is not noted. A batch is deleted only while no run of it lives and nobody
// may append to it, and whoever notes a bucket meanwhile keeps it (see MayPurge); an append that
// comes too late for that is refused by its bucket. Every method is one command on one key, or
// several whose order makes a crash between them harmless.
package ledger
