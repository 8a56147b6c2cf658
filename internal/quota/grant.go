package quota

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Reason says why a request was not granted.
type Reason string

// The reasons, in the order in which they are checked.
const (
	ReasonRestart  Reason = "restart"  // FreezeUntil
	ReasonClock    Reason = "clock"    // the server's clock jumped by days while we asked
	ReasonMidnight Reason = "midnight" // within Settings.Guard of midnight
	ReasonCooling  Reason = "cooling"  // Cool; Decision.Detail says why
	ReasonQuota    Reason = "quota"    // the day's requests are used
	ReasonSlots    Reason = "slots"    // all slots are taken
)

// Decision is the answer to Try.
type Decision struct {
	Granted bool
	Grant   Grant     // where granted
	Reason  Reason    // where not
	Detail  string    // of the reason; may be empty
	RetryAt time.Time // when to try again, by the server's clock, after Now; zero where granted
	Now     time.Time // the server's time of the decision
}

// Wait returns how long to wait before the next try; 0 if granted.
func (d Decision) Wait() time.Duration {
	if d.Granted {
		return 0
	}
	return d.RetryAt.Sub(d.Now)
}

// Grant is the right to send one request. It ends with its lease, by the clock of
// Redis. Keep it as it is for Release and GiveBack; it holds no secret.
type Grant struct {
	Token string    // the token's name
	Nonce string    // of this attempt alone
	Ends  time.Time // of the lease, by the server's clock
	Days  string    // that it was counted on, YYYYMMDD, one or two with a comma
	Used  int       // requests of the day that is ending or going on, this one included
	Limit int       // that day's quota
	Probe bool      // a gentle try of a token that cools down
	// Others are the token's other slots that were held at the grant: requests that may be
	// on their way to the vendor.
	Others int
}

func (g Grant) check() error {
	if err := checkName(g.Token); err != nil {
		return err
	}
	if g.Nonce == "" || strings.Trim(g.Days, ",") == "" {
		return ErrGrant
	}
	return nil
}

// Expected refusals, for errors.Is.
var (
	// ErrName refuses a name of a token: 3 to 128 letters, digits, "_" and "-".
	ErrName = errors.New("quota: a token's name must be 3 to 128 letters, digits, _ or - (an HMAC of the token in hex or base32, never the token)")
	// ErrLicenses refuses a number of licences below 1 or above 1,000,000.
	ErrLicenses = errors.New("quota: licences must be 1 to 1,000,000")
	// ErrGrant refuses a Grant that Try or Acquire did not make.
	ErrGrant = errors.New("quota: not a grant: it has no nonce or no days")
)

// NotNowError is what Acquire returns for a refusal that is not about slots: quota,
// cooling, midnight, restart and clock last too long, or say too much, to wait for them
// silently. No slot was taken, nothing was counted and no attempt was made.
type NotNowError struct {
	Decision Decision // why, and from when on it can be tried again
}

// Error says why and until when.
func (e *NotNowError) Error() string {
	d := e.Decision
	detail := ""
	if d.Detail != "" {
		detail = " (" + d.Detail + ")"
	}
	return fmt.Sprintf("quota: no request now: %s%s; try again at %s", d.Reason, detail, d.RetryAt.UTC().Format(time.RFC3339))
}

// Release frees the slot of a request that the vendor ANSWERED, however unreadable
// the answer, and wakes the waiter that waited longest.
//
// Do NOT call it after an unknown outcome: a time-out, a broken connection, an answer
// that stopped half-way. The vendor may still work on the request; the slot stays
// taken until the lease ends, with no call at all.
//
// If the slot was freed before, or was reclaimed after its lease had ended, Release frees nothing.
// After an error the slot may be free or not; calling again is safe.
func (l *Limiter) Release(ctx context.Context, g Grant) error {
	_, _, err := l.free(ctx, g, "")
	return err
}

// GiveBack frees the slot and takes the request off the days it was counted on, even
// after midnight has passed. ONLY for a request that certainly was not sent: the
// name lookup, the dial or TLS failed, or it was not written in time
// (httptrace.ClientTrace.WroteRequest did not fire). If the slot was reclaimed before,
// nothing is given back. Otherwise it is like Release.
func (l *Limiter) GiveBack(ctx context.Context, g Grant) error {
	_, _, err := l.free(ctx, g, g.Days)
	return err
}

// free returns whether the slot was still the grant's own, and the waiter that was woken, "" for none.
func (l *Limiter) free(ctx context.Context, g Grant, days string) (woken string, held bool, err error) {
	if err := g.check(); err != nil {
		return "", false, err
	}
	r, err := l.run(ctx, l.scripts.release, g.Token, g.Token, g.Nonce, l.settings.Slots, days)
	l.signal(ctx, g.Token, r.Int(3) == 1)
	return r.Str(1), r.Int(0) == 1, err
}

// leave takes a waiter out of a token's queue. If it was woken already, its wake is passed on: woken
// is the waiter that got it, or empty.
func (l *Limiter) leave(ctx context.Context, token, waiter string) (woken string, err error) {
	r, err := l.run(ctx, l.scripts.leave, token, token, waiter, l.settings.Slots)
	l.signal(ctx, token, r.Int(3) == 1)
	return r.Str(1), err
}

// OneDay reports whether the request was counted on only one day, so that Raise can take
// what the vendor says about it.
func (g Grant) OneDay() bool { return len(g.Days) == len("20060102") }

// Raise sets what a token has used on the day of g, which must be OneDay, to the vendor's own count if
// that is higher than ours was: somebody else uses the token. vendor is what the vendor answered to
// the request of g, that request included. Requests of ours that the vendor may not have seen by
// then (Grant.Others, and what was granted since) are added, so the count is never too low.
// Raise returns our count before and after, and never lowers it. Release frees the slot of g,
// as always.
func (l *Limiter) Raise(ctx context.Context, g Grant, vendor int) (before, after int, err error) {
	r, err := l.run(ctx, l.scripts.raise, g.Token, g.Token, g.Days, g.Used, g.Others, vendor)
	return int(r.Int(0)), int(r.Int(1)), err
}
