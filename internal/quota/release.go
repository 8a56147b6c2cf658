package quota

import (
	"context"
)

// Release frees the slot of a request that the vendor ANSWERED, however unreadable
// the answer, and wakes who waited longest.
//
// Do NOT call it after an unknown outcome: a time-out, a broken connection, an answer
// that stopped half-way. The vendor may still work on the request; the slot stays
// taken until the lease ends, with no call at all.
//
// One whose slot was reclaimed, after its lease had ended, or was freed before, changes nothing. After
// an error the slot may be free or not; calling again is safe.
func (l *Limiter) Release(ctx context.Context, g Grant) error {
	_, _, err := l.free(ctx, g, "")
	return err
}

// GiveBack frees the slot and takes the request off the days it was counted on, also
// after midnight has passed. ONLY for a request that certainly was not sent: the
// name, the dial or TLS failed, or it was not written in time
// (httptrace.ClientTrace.WroteRequest did not fire). Where the slot was
// reclaimed before, nothing is given back. Otherwise as Release.
func (l *Limiter) GiveBack(ctx context.Context, g Grant) error {
	_, _, err := l.free(ctx, g, g.Days)
	return err
}

// free tells whether the slot was still the grant's own, and the waiter that was woken, "" for none.
func (l *Limiter) free(ctx context.Context, g Grant, days string) (woken string, held bool, err error) {
	if err := g.check(); err != nil {
		return "", false, err
	}
	r, err := l.run(ctx, l.scripts.release, g.Token, g.Token, g.Nonce, l.settings.Slots, days)
	if err != nil {
		return "", false, err
	}
	woken, held = r.Str(1), r.Int(0) == 1
	l.signal(ctx, g.Token, r.Int(3) == 1)
	return woken, held, nil
}

// leave takes a waiter out of a token's queue. One that was woken already passes its wake on: woken
// is who got it, empty where nobody did.
func (l *Limiter) leave(ctx context.Context, token, waiter string) (woken string, err error) {
	r, err := l.run(ctx, l.scripts.leave, token, token, waiter, l.settings.Slots)
	if err != nil {
		return "", err
	}
	woken = r.Str(1)
	l.signal(ctx, token, r.Int(3) == 1)
	return woken, nil
}

// OneDay reports whether the request was counted on one day alone, so that Raise can be
// told what the vendor says of it.
func (g Grant) OneDay() bool { return len(g.Days) == len("20060102") }

// Raise sets what a token has used on the day of g, which is OneDay, to the vendor's own count, where that is
// higher than ours was: somebody else uses the token. vendor is what the vendor answered to the
// request of g, that request included. Requests of ours that the vendor may not have seen by
// then (Grant.Others, and what was granted since) are added, so the count is never too low.
// It returns our count before and after; it is never lowered. The slot of g is freed by
// Release, as always.
func (l *Limiter) Raise(ctx context.Context, g Grant, vendor int) (before, after int, err error) {
	r, err := l.run(ctx, l.scripts.raise, g.Token, g.Token, g.Days, g.Used, g.Others, vendor)
	if err != nil {
		return 0, 0, err
	}
	return int(r.Int(0)), int(r.Int(1)), nil
}
