// Package control is what a person can see and do: counts, results, chains that
// wait and why, quota, and the decisions on what was given up. Commands, pages and
// other programs for people are made of it; it prints nothing itself.
//
// # Guarantees
//
//   - Reading changes nothing, and needs no sealing keys: no token is ever opened here.
//   - A decision (Retry, Skip, Cancel) returns after the counts show what it did: it
//     and the counts are one step in the ledger.
//   - A decision that was cut off half way (a lost connection) has acted on some of the
//     chains that were meant. Giving it again acts on the others: what is no longer
//     held is left alone.
//   - Report, Batches and Chains stream in constant memory.
//
// # Time
//
// Times are those of Redis. They print as RFC 3339 in UTC with milliseconds, and as
// null (JSON) or nothing (text) where there is none.
//
// # Failures
//
// If Redis is away, every method returns its error wrapped, at once. Only the waits bear it for a
// minute.
//
// # The audit log
//
// AuditLog keeps what people decided and enqueued: who did what, to what, by which way, with which result, and
// when. Every way in goes through a method here that does it and notes it: EnqueueCall says which single calls have no
// entry. It is one stream in Redis, PREFIX:actions, of the last AuditCapacity entries or a few more.
// An entry can be written when Redis is full, as decisions can. It is written after what it tells
// of: one that could not be written is for the Actor to tell. It never holds a token.
package control
