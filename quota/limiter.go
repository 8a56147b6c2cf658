package quota

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	limits "habilita/internal/quota"
)

// Settings are the limits of a token. All programs that use a token must have the same. The
// zero value means the defaults.
type Settings struct {
	// Prefix begins the names of all keys: letters, digits and ".:_-". "": "habilita".
	Prefix string
	// Slots is how many requests of a token may be in flight, 1 or 2. 0: 2, the vendor's limit.
	Slots int
	// Lease is how long a slot stays taken if nobody frees it. The vendor's work on a request, and
	// the program's wait for the answer, must be shorter. Whole milliseconds, up to 12 h. 0: 65 s.
	// A limiter of a client has the workers' lease.
	Lease time.Duration
	// DefaultLicenses is for tokens without a number of licences. Up to 1,000,000. 0: 1, the smallest
	// quota.
	DefaultLicenses int
	// Location is the time zone of the vendor's day. nil: America/Bogota; a program in an image
	// without a zone database imports time/tzdata.
	Location *time.Location
	// Guard is the time before and after midnight without grants. Whole milliseconds, up to
	// 1 h. 0: 3 s.
	Guard time.Duration
}

// Limiter grants requests. It is safe for concurrent use, and needs no closing.
type Limiter struct {
	get func(context.Context) (*limits.Limiter, error)
}

// New makes a limiter for a program without habilita's workers; with them, use the limiter of a
// tasks.Client. It reports all faults of the settings at once, and sends nothing to Redis. rdb
// stays yours to close.
func New(rdb redis.UniversalClient, s Settings) (*Limiter, error) {
	l, err := limits.New(rdb, limits.Settings(s))
	if err != nil {
		return nil, err
	}
	return &Limiter{func(context.Context) (*limits.Limiter, error) { return l, nil }}, nil
}

// Lazy makes a limiter that is opened when it is used, for example because its settings are kept
// elsewhere. It calls open before each request, so open must keep what it opened. An error of
// open is the request's.
func Lazy(open func(context.Context) (*Limiter, error)) *Limiter {
	return &Limiter{func(ctx context.Context) (*limits.Limiter, error) {
		l, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return l.get(ctx)
	}}
}

// with opens the limiter and calls do with it.
func with[T any](ctx context.Context, l *Limiter, do func(*limits.Limiter) (T, error)) (none T, err error) {
	in, err := l.get(ctx)
	if err != nil {
		return none, err
	}
	done, err := do(in)
	if err != nil {
		return none, public(err)
	}
	return done, nil
}

// Acquire waits for a slot of the token with this name and returns the grant: first come, first
// served, over all processes. It does not poll. Any other refusal is a *NotNowError at once. If
// ctx ends first, the error is ctx's, and no slot is taken.
func (l *Limiter) Acquire(ctx context.Context, token string) (Grant, error) {
	return with(ctx, l, func(in *limits.Limiter) (Grant, error) {
		g, err := in.Acquire(ctx, token)
		return grant(in, g), err
	})
}

// Try asks for a grant now and does not wait. A refusal is not an error. After an error there is
// no grant, but a slot may be taken until its lease ends (the answer was lost).
func (l *Limiter) Try(ctx context.Context, token string) (Decision, error) {
	return with(ctx, l, func(in *limits.Limiter) (Decision, error) {
		d, err := in.Try(ctx, token)
		return decision(in, d), err
	})
}

// Usage returns what a token has used. It uses and changes nothing.
func (l *Limiter) Usage(ctx context.Context, token string) (Usage, error) {
	return with(ctx, l, func(in *limits.Limiter) (Usage, error) {
		u, err := in.Peek(ctx, token)
		return Usage{
			Used: u.Used, Licenses: u.Licenses, Limit: u.Limit, Held: u.Held, Waiting: u.Waiting,
			CoolingUntil: u.CoolingUntil, CoolingWhy: u.CoolingWhy, Now: u.Now, NextDay: u.NextDay,
		}, err
	})
}

// SetLicenses sets how many licences the operation of a token has: its quota is 1000 requests
// a day for each. The number holds until anyone sets another. A number below 1 or above
// 1,000,000 is ErrLicenses.
func (l *Limiter) SetLicenses(ctx context.Context, token string, n int) error {
	_, err := with(ctx, l, func(in *limits.Limiter) (int, error) { return n, in.SetLicenses(ctx, token, n) })
	return err
}

// Freeze keeps this limiter from granting anything for one lease. It is for a program without
// workers, when its Redis has restarted and may have lost slots that are taken. Other processes
// must freeze too. Workers do it by themselves, for all limiters.
func (l *Limiter) Freeze(ctx context.Context) error {
	in, err := l.get(ctx)
	if err == nil {
		in.FreezeUntil(in.Now().Add(in.Settings().Lease))
	}
	return err
}

// Usage is what a token has used, and what it may still use.
type Usage struct {
	Used     int // requests counted today
	Licenses int
	Limit    int // requests of a day
	Held     int // slots taken now
	Waiting  int // how many wait for a slot
	// CoolingUntil is when a token that the vendor pushed back opens again; zero: it is open.
	CoolingUntil time.Time
	CoolingWhy   string
	Now          time.Time // when this was so, by the clock of Redis
	NextDay      time.Time // when the next day's first request may be granted
}

// Left is how many requests of the day are left, at least 0.
func (u Usage) Left() int { return max(0, u.Limit-u.Used) }

// Reason says why a request was not granted.
type Reason string

// The reasons, in the order in which they are checked.
const (
	ReasonRestart  Reason = "restart"  // Redis restarted; it may not know all requests in flight
	ReasonClock    Reason = "clock"    // the clock of Redis jumped by days while we asked
	ReasonMidnight Reason = "midnight" // within Settings.Guard of midnight
	ReasonCooling  Reason = "cooling"  // the vendor pushed the token back; Decision.Detail says why
	ReasonQuota    Reason = "quota"    // the day's requests are used
	ReasonSlots    Reason = "slots"    // all slots are taken
)

// Decision is the answer to Try.
type Decision struct {
	Granted bool
	Grant   Grant     // if granted
	Reason  Reason    // if not
	Detail  string    // of the reason; may be empty
	RetryAt time.Time // when to try again, by the clock of Redis; zero if granted
	Now     time.Time // when this was decided, by the clock of Redis
}

// Wait is how long to wait before the next try; 0 if granted.
func (d Decision) Wait() time.Duration {
	if d.Granted {
		return 0
	}
	return d.RetryAt.Sub(d.Now)
}

func decision(in *limits.Limiter, d limits.Decision) Decision {
	out := Decision{Granted: d.Granted, Reason: Reason(d.Reason), Detail: d.Detail, RetryAt: d.RetryAt, Now: d.Now}
	if d.Granted {
		out.Grant = grant(in, d.Grant)
	}
	return out
}

// Grant is the right to send one request, until its lease ends. Call at most one of Answered
// and NotSent.
type Grant struct {
	Token string    // the token's name
	Ends  time.Time // of the lease, by the clock of Redis
	Used  int       // requests of the day, with this one
	Limit int       // the day's quota
	Probe bool      // a gentle try of a token that the vendor pushed back

	in   *limits.Limiter
	held limits.Grant
}

func grant(in *limits.Limiter, g limits.Grant) Grant {
	return Grant{Token: g.Token, Ends: g.Ends, Used: g.Used, Limit: g.Limit, Probe: g.Probe, in: in, held: g}
}

// Answered frees the slot after the vendor answered, even if the answer is unreadable, and wakes
// the waiter that has waited longest. Do not call it after a time-out or a broken connection: see
// the package's documentation. After an error the slot may be free or not; calling again is safe.
// After the lease has ended it does nothing. If the Grant did not come from Try or Acquire, the
// error is ErrGrant.
func (g Grant) Answered(ctx context.Context) error {
	if g.in == nil {
		return ErrGrant
	}
	return public(g.in.Release(ctx, g.held))
}

// NotSent frees the slot and takes the request off the day's count. Call it only if the
// request was certainly not sent: no connection, or not written in time
// (httptrace.ClientTrace.WroteRequest was not called). Otherwise it works like Answered.
func (g Grant) NotSent(ctx context.Context) error {
	if g.in == nil {
		return ErrGrant
	}
	return public(g.in.GiveBack(ctx, g.held))
}

// Refusals that a program can't wait out, for errors.Is.
var (
	// ErrName refuses a token's name that is not 3 to 128 letters, digits, "_" and "-". It does not
	// show the name: somebody may have given the token itself.
	ErrName = errors.New("quota: a token's name must be 3 to 128 letters, digits, _ or - (an HMAC of the token, never the token)")
	// ErrLicenses refuses a number of licences below 1 or above 1,000,000.
	ErrLicenses = errors.New("quota: licences must be 1 to 1,000,000")
	// ErrGrant refuses a Grant that Try or Acquire did not make.
	ErrGrant = errors.New("quota: not a grant: it did not come from Try or Acquire")
)

// NotNowError is the error of Acquire if the request can't be made now for a reason other than
// slots. Nothing was taken or counted.
type NotNowError struct {
	Decision Decision // why, and when to try again

	cause error
}

// Error says why, and when to try again.
func (e *NotNowError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *NotNowError) Unwrap() error { return e.cause }

// public gives an error of the limits its exported form.
func public(err error) error {
	var no *limits.NotNowError
	switch {
	case errors.As(err, &no):
		return &NotNowError{Decision: decision(nil, no.Decision), cause: err}
	case errors.Is(err, limits.ErrName):
		return ErrName
	case errors.Is(err, limits.ErrLicenses):
		return ErrLicenses
	case errors.Is(err, limits.ErrGrant):
		return ErrGrant
	}
	return err
}
