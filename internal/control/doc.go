// Package control is what a person can see and do: counts, results, chains that
// wait and why, quota, and the decisions on what was given up. Commands, pages and
// other programs for people are built on it; it prints nothing itself.
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
// null (JSON) or nothing (text) if there is none.
//
// # Failures
//
// If Redis is away, every method returns the wrapped error at once. Only the waits go on trying for
// a minute.
//
// # The audit log
//
// AuditLog keeps what people decided and enqueued: who did what, to what, by which way, with which result, and
// when. Every such action goes through a method here, which does it and notes it; EnqueueCall says which single calls have
// no entry. The log is one stream in Redis, PREFIX:actions, of the last AuditCapacity entries or a few more.
// Like a decision, an entry can be written when Redis is full. It is written after the action; if
// that fails, the Actor is told. It never holds a token.
package control
