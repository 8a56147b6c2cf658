// Package quota keeps the requests of a wolkvox token inside the vendor's limits:
// at most two at the same time, and at most licences x 1000 in a day. Its state is
// in Redis, so the limits hold over every process that uses the same Redis, prefix
// and names. The worker uses it as it is; other programs import habilita/quota, a thin
// layer over it.
//
// # The life of a request
//
//	        Try / Acquire
//	free ───────────────▶ held ──▶ answered ─────────▶ Release  ──▶ free
//	  ▲                    │ ├────▶ certainly not sent ▶ GiveBack ─▶ free, not counted
//	  │                    │ └────▶ outcome unknown ───▶ (nothing)
//	  └── the lease ends ◀─┘
//
// An outcome is unknown after a crash, a time-out or a broken connection: the
// vendor may still work on the request. Do NOT call Release then. The slot stays
// taken until its lease ends, and that is what keeps the vendor from ever seeing a
// third request. In an experiment, releasing on time-outs put 24 to 30 % of the
// requests above the limit; leaving the slot taken put none. The lease therefore has to
// be longer than the vendor may work on a request (60 s by its documents), and there is
// no heartbeat: it would free the slot of a dead worker whose request still runs.
//
// # Guarantees
//
//   - Slots: at most Settings.Slots leases of a token at any time. The owner alone
//     frees its slot: every attempt has a random nonce, so a late Release of an old
//     attempt frees nothing.
//   - Quota: at most licences x 1000 grants of a token for a day of
//     Settings.Location. A request is counted when it is granted; one whose lease
//     crosses midnight is counted on both days, because the vendor may do either.
//     No grants within Settings.Guard of midnight, on both sides. The vendor's clock
//     may be off by that much.
//   - Refusals use nothing: no slot and no count.
//   - A grant whose reply was lost and that the client sends again is granted once.
//   - Waiters are woken in the order of their arrival, one for a freed slot. A
//     caller that comes at that moment may be faster than the woken waiter, which
//     then keeps its place at the head.
//
// The guarantees hold while nobody else uses the token, the request is written soon
// after the grant (if it was not, drop it with GiveBack), and Redis keeps what it
// acknowledged. See FreezeUntil for a Redis that lost writes.
//
// # Clock
//
// Every script reads the time of Redis once; the clocks of the callers decide
// nothing. The days are computed in Go, four at a time, around the server's time as
// Clock learned it from the replies. So a caller whose clock is off by days is refused
// once, learns the time and goes on. If the clock of Redis steps forward, leases end
// early by as much: let it be slewed.
//
// # When something fails
//
//	Redis does not answer      an error, and no grant. A slot may have been taken all
//	                           the same: it is free again when its lease ends
//	a holder dies              its slot is free when its lease ends
//	Release fails              the same; do not send the request again before that
//	a waiter dies              it is passed over, and the next one woken
//	a wake gets lost           the same
//	Redis restarted            slots and counts may be missing: FreezeUntil one lease later
//	Redis is full              grants fail; Release, GiveBack, Lift and SetLicenses work
//
// # Names and keys
//
// A token is known by a name, never by itself: names are in keys, and keys are seen
// by everybody who may look at Redis. Make them by an HMAC of the token under a key
// that stays the same and is kept secret. A program that shares tokens with habilita's
// workers must use their names (tasks.Client.TokenID). Keys are "<prefix>:{<tag>}:...", with the
// first two characters of the name as the tag. Scripts declare that prefix as their
// only key and build all others from it: they share its hash tag, so they live in
// one slot of a Redis Cluster. One Redis, Sentinel and Cluster are served alike.
package quota
