// Package breaker knows the state of the vendor's servers from what all workers see: how
// many requests failed, and whether a server is down. Calls to a server that is down are
// put off, so that they spend no attempts, and the server is probed gently.
//
// # States of a server
//
//	         5 failures in a row, of 2 chains at least, without an answer
//	closed ────────────────────────────────────────────────────────────▶ open ◀─┐
//	  ▲                                                                    │     │ the probe failed:
//	  │                                       the next probe is due, and   │     │ twice as long
//	  │                                       a worker takes it            ▼     │
//	  └───────── an answer, whatever it says; or a person lifts it ──── half open
//
// Closed means well: calls are made. While a server is open, no call is begun at it except
// one probe at a time, at intervals that double from 2 s to 60 s. A failure is a request
// without a readable answer: no connection, a time-out, a broken connection, a 5xx,
// nonsense. A refusal is an answer.
//
// A server with only one chain never counts as down: one operation's trouble can't be told
// from the server's, and the chain's own back-off is just as gentle.
//
// # Guarantees
//
// All workers share one state, in Redis. The switch to open or closed and the permission
// to probe are one script each, so only one of many workers probes. Workers learn of a
// change within a second; until then they make calls, or put them off, as before. If a
// worker dies with a permission to probe, the others wait until the permission ends.
//
// A worker reports what it saw once a second, for all servers together, and at once if a
// server may be down. So a call costs no command of its own. A report that is lost, with a
// worker or with Redis, only makes a switch later.
//
// # Time and failures
//
// Times are ms by the clock of Redis. If Redis is away, nothing is known and nothing is
// put off: no call is made then anyway.
//
// # Keys
//
// There is one key, with one field for each server:
//
//	PREFIX:{health}:servers  hash, server to its state in JSON
package breaker
