// Package quota keeps a program's own requests to wolkvox inside the limits of a token, which
// they share with habilita's workers: 2 requests in flight, and licences x 1000 in a day.
//
//	limiter := client.Limiter()                              // of a tasks.Client
//	grant, err := limiter.Acquire(ctx, client.TokenID(token)) // waits for a slot
//	if err != nil {
//		return err // *NotNowError says until when; nothing was counted
//	}
//	switch answered, sent := request(ctx); {
//	case answered:
//		err = grant.Answered(ctx) // frees the slot
//	case !sent:
//		err = grant.NotSent(ctx) // frees the slot and takes the request off the count
//	} // otherwise do nothing: the vendor may still work on it
//
// # The life of a grant
//
//	      Try, Acquire
//	free ─────────────▶ held ──▶ the vendor answered ───▶ Answered ─▶ free
//	  ▲                  │ ├───▶ certainly not sent ────▶ NotSent ──▶ free, not counted
//	  │                  │ └───▶ the outcome is unknown ▶ (nothing)
//	  └─ the lease ends ◀┘
//
// The outcome is unknown after a crash, a time-out or a broken connection. Do not call
// Answered then: the vendor may still work on the request. The slot stays taken until its
// lease ends, and that keeps a third request away from the vendor.
//
// # Guarantees
//
//   - Slots: a token never has more than Settings.Slots leases, over all processes.
//   - Quota: a token never gets more than licences x 1000 grants in a day of
//     Settings.Location. A grant whose lease crosses midnight counts on both days.
//   - A refusal takes no slot and counts nothing.
//   - Waiters are woken in the order in which they came, over all processes.
//
// They hold as long as all programs that use the token ask here, and each request is written
// soon after its grant. If one is not, do not send it: call NotSent.
//
// # If something fails
//
//	Redis does not answer   an error and no grant. A slot may be taken until its lease ends
//	a holder dies           its slot is free when its lease ends
//	Answered fails          call it again, or leave it: the lease ends
//	Redis restarted         workers on the same Redis keep grants back for one lease, for all
//	                        limiters; a program without workers calls Freeze
//
// # Names
//
// Functions take a token's name, never the token itself, since names appear in Redis keys.
// tasks.Client.TokenID returns the name that the workers use. A program without workers makes an
// HMAC of the token under a secret key that never changes. All times are by the clock of Redis.
package quota
