// Package webhook tells other programs what happened: by HTTP, as the Standard Webhooks specification says
// (https://www.standardwebhooks.com).
//
// Two halves meet in an outbox in Redis. A [Teller] finds what is to be told and writes it into the outbox; a [Sender]
// sends it. Every worker has both.
//
//	ledger, schedules, breakers, quota ── Teller ──▶ outbox: a delivery for each receiver ── Sender ──▶ receiver
//	                                         │                       ▲                          │
//	                                         └── told marks          └── again after 5 s … 15 min
//
// # What is told
//
// The Teller compares what it reads with what was told before, and keeps the difference as a mark. The mark changes in
// the same step that writes the event, and only if it still is what was read. So two workers never tell the same thing
// twice, and no crash loses it: what is in the ledger and was not told is found by the next look of any worker. One
// worker looks at everything; each looks soon at the batches of the calls that it made itself.
//
// # States of a delivery
//
//	waiting ── taken, under a lease ──▶ being sent ── 2xx ──▶ gone (delivered)
//	   ▲                                    │
//	   └── anything else, or the worker died┴── 24 h after the event ──▶ given up
//
// It is sent at least once, always with the same id, by which a receiver drops duplicates. The nonce of the lease is a
// fence: if another worker took the delivery later, what the first one says of it has no effect.
//
// # Bounds
//
// At most [MaxWaiting] deliveries wait for a receiver. If there are more, the oldest are dropped, and counted. The keys of
// a receiver that no worker has any more are removed after 48 h. The last [keepLost] that were given up can be read.
//
// # Failures
//
// If Redis is away or full, nothing is told and nothing is sent; what was to be told is found later. If a receiver is
// slow or hangs, only the few goroutines that send to it wait. Others make the calls.
//
// # Keys
//
//	habilita:{webhooks}:told            hash   what was told of, such as b:<batch> -> mark
//	habilita:{webhooks}:receivers       zset   "<receiver> <origin>" -> when a worker had it last
//	habilita:{webhooks}:meta:<receiver> hash   event's id -> type, time, tries, last failure, nonce, in JSON
//	habilita:{webhooks}:body:<receiver> hash   event's id -> what is sent
//	habilita:{webhooks}:due:<receiver>  zset   event's id -> when it is to be sent, or when its lease ends
//	habilita:{webhooks}:age:<receiver>  zset   event's id -> when it happened
//	habilita:{webhooks}:lost            list   those that were given up
//	habilita:{webhooks}:teller          string the worker that looks at everything
//	habilita:{webhooks}:since           string when workers began to tell, ms: nothing older is told
//
// A receiver is named by a hash of its address, which may hold a secret. Times are ms by the clock of Redis.
package webhook
