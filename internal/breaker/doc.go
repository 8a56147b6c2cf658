// Package breaker knows how the vendor's servers are, from what all workers see: how many
// requests failed, and whether a server is down. Calls to a server that is down are put
// off, so that they spend no attempts, and it is probed gently.
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
// closed is well: calls are made. While a server is open no call is begun at it but one
// probe at a time, at distances that double from 2 s to 60 s. A
// failure is a request that got no answer that can be read: no connection, a time-out, a
// broken connection, a 5xx, nonsense. A refusal is an answer.
//
// A server with one chain alone never counts as down: one operation's trouble can't be told from the
// server's, and its own back-off is as gentle.
//
// # Guarantees
//
// The state is one, for all workers, in Redis: the switch to open or closed and the permission
// to probe are each one script, so of many workers one probes. Workers learn of a change
// within a second; until then they make calls, or put them off, as before.
// A worker that dies with a permission to probe is waited for as long as the permission lasts.
//
// What a worker saw is reported once a second, for all servers together, and at once
// where a server may be down: a call costs no command of its own. Reports that were
// lost with a worker, or with Redis, cost a later switch and nothing else.
//
// # Time and failures
//
// Times are ms by the clock of Redis. Where Redis is away nothing is known and nothing is
// put off: no call is made then anyway.
//
// # Keys
//
// One, that holds as many fields as there are servers:
//
//	PREFIX:{health}:servers  hash, server to its state in JSON
package breaker
