package quota

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
)

// Cool closes a token until a time by the server's clock: the vendor said that its
// quota is used, that requests come too fast, or that it is under maintenance. why
// is shown with refusals (Decision.Detail) and must hold no secret. probeAfter > 0
// lets one gentle try through after that time, and then at intervals that double, from
// twice probeAfter (at least 2 minutes) to 4 hours; call Lift when one succeeds. 0
// lets none through.
//
// A cooling that lasts longer stays as it is; ends is when the token opens. Cooling
// again for the same reason keeps the interval of the probes.
func (l *Limiter) Cool(ctx context.Context, token string, until time.Time, why string, probeAfter time.Duration) (ends time.Time, err error) {
	if err := checkName(token); err != nil {
		return time.Time{}, err
	}
	r, err := l.run(ctx, l.scripts.cool, token, token, redisconn.Millis(until), why, probeAfter.Milliseconds(), rand.Text())
	l.signal(ctx, token, r.Int(2) == 1)
	return r.Time(0), err
}

// Lift opens a token that cools down; the workers' chains that wait for that look again. It reports
// whether the token cooled down.
func (l *Limiter) Lift(ctx context.Context, token string) (bool, error) {
	was, err := l.Cool(ctx, token, time.Time{}, "", 0)
	return !was.IsZero(), err
}

// SetLicenses says how many licences the operation of a token has: a day's quota is
// 1000 times as much. The last value given wins, and stays until another is given. The
// workers' chains that wait for the quota look again.
// If the quota is now below what was used, requests are refused until midnight. An n
// that is not 1 to MaxLicenses is ErrLicenses.
func (l *Limiter) SetLicenses(ctx context.Context, token string, n int) error {
	if err := checkName(token); err != nil {
		return err
	}
	if n < 1 || n > MaxLicenses {
		return ErrLicenses
	}
	r, err := l.run(ctx, l.scripts.licenses, token, token, n)
	l.signal(ctx, token, r.Int(1) == 1)
	return err
}

// signal tells the workers that the token's bucket has chains that may run, if it has. It is a
// hint: within seconds they find what was not signalled.
func (l *Limiter) signal(ctx context.Context, token string, ready bool) {
	if ready {
		_ = l.rdb.ZAddNX(ctx, redisconn.SignalledKey(l.settings.Prefix), redis.Z{Score: float64(l.clock.Now().UnixMilli()), Member: Tag(token)}).Err()
	}
}

// Restored is what a write-ahead log says about a token's requests.
type Restored struct {
	// Leases are those that nobody released: the nonce of an attempt, and when its lease
	// ends. A lease that has ended holds nothing.
	Leases map[string]time.Time
	// Used are the requests counted on a day, by its label (YYYYMMDD in
	// Settings.Location), as in Grant.Days.
	Used map[string]int
}

// perRestore is how many tokens one script restores.
const perRestore = 100

// Restore puts back the slots and counts of tokens, by their names. It is for a program whose Redis
// ends with it, and that keeps a write-ahead log of its grants. It only adds to what is there, so
// restoring again is harmless. It leaves out a day that has been over for two days. Cool restores
// cool-downs. Restore stops at the first error.
func (l *Limiter) Restore(ctx context.Context, tokens map[string]Restored) error {
	names := slices.Sorted(maps.Keys(tokens)) // bucket after bucket
	for len(names) > 0 {
		first, n := names[0], 0
		var args []any
		for n < min(len(names), perRestore) && Tag(names[n]) == Tag(first) {
			own, err := l.restoreArgs(names[n], tokens[names[n]])
			if err != nil {
				return fmt.Errorf("quota: restore: %w", err)
			}
			args = append(args, own...)
			n++
		}
		if _, err := l.run(ctx, l.scripts.restore, first, args...); err != nil {
			return err
		}
		names = names[n:]
	}
	return nil
}

// restoreArgs returns the arguments of the script for a token.
func (l *Limiter) restoreArgs(token string, r Restored) ([]any, error) {
	if err := checkName(token); err != nil {
		return nil, err
	}
	args := []any{token, len(r.Leases), len(r.Used)}
	for nonce, ends := range r.Leases {
		args = append(args, nonce, ends.UnixMilli())
	}
	for day, n := range r.Used {
		noon, err := time.ParseInLocation("20060102 15", day+" 12", l.settings.Location)
		if err != nil {
			return nil, fmt.Errorf("%q is no day such as 20261123", day)
		}
		args = append(args, day, n, noon.Add(60*time.Hour).UnixMilli())
	}
	return args, nil
}

// Usage is what a token has used and may still use.
type Usage struct {
	Token    string // its name
	Used     int    // requests counted on the day of Now
	Licenses int
	Limit    int // requests of a day
	Held     int // slots taken
	Waiting  int // waiters for a slot
	// CoolingUntil is zero if the token does not cool down.
	CoolingUntil time.Time
	CoolingWhy   string
	Probe        time.Time // the next gentle try not before; zero for none
	Now          time.Time // the server's
	NextDay      time.Time // when the next day's first request may be granted
}

// Left returns how many requests of the day are left, at least 0.
func (u Usage) Left() int { return max(0, u.Limit-u.Used) }

// peekChunk is how many tokens one pipeline asks for: some hundred microseconds of the
// server's time.
const peekChunk = 200

// Peek shows the usage of a token. It uses nothing and changes nothing.
func (l *Limiter) Peek(ctx context.Context, token string) (Usage, error) {
	all, err := l.PeekMany(ctx, []string{token})
	if err != nil {
		return Usage{}, err
	}
	return all[0], nil
}

// PeekMany is Peek for many tokens, in their order, in pipelines. With a *redisconn.UnreadError, which names the
// buckets, it returns those of the tokens that could be read; with any other error, none.
func (l *Limiter) PeekMany(ctx context.Context, tokens []string) ([]Usage, error) {
	for _, t := range tokens {
		if err := checkName(t); err != nil {
			return nil, err
		}
	}
	all := make([]Usage, 0, len(tokens))
	unread := &redisconn.UnreadError{What: redisconn.Parts}
	for chunk := range slices.Chunk(tokens, peekChunk) {
		usages, err := l.peek(ctx, chunk, unread)
		if err != nil {
			return nil, fmt.Errorf("quota: peek: %w", err)
		}
		all = append(all, usages...)
	}
	if len(all) == 0 && unread.Cause != nil {
		return nil, fmt.Errorf("quota: peek: %w", unread.Cause)
	}
	return all, unread.Of(0)
}

// peek asks for a chunk.
func (l *Limiter) peek(ctx context.Context, tokens []string, unread *redisconn.UnreadError) (usages []Usage, err error) {
	for range 3 { // again if the days were those of a clock that is off
		settings := l.Args()
		of := make([]redisconn.Execution, len(tokens))
		for i, t := range tokens {
			of[i] = redisconn.Execution{Keys: redisconn.BucketKeys(l.settings.Prefix, Tag(t)), Args: append([]any{t}, settings...)}
		}
		for i, answer := range l.scripts.peek.RunAll(ctx, l.rdb, of) {
			t := tokens[i]
			items, err := answer.Slice()
			if err != nil {
				unread.Add(Tag(t), err)
				continue
			}
			r := l.read(l.scripts.peek, items)
			usages = append(usages, Usage{
				Token: t, Used: int(r.Int(0)), Licenses: int(r.Int(1)), Limit: int(r.Int(1)) * RequestsPerLicense,
				Held: int(r.Int(2)), Waiting: int(r.Int(3)),
				CoolingUntil: r.Time(4), CoolingWhy: r.Str(5), Probe: r.Time(6), Now: r.Time(7), NextDay: r.Time(8),
			})
		}
		if !slices.ContainsFunc(usages, func(u Usage) bool { return u.Used < 0 }) {
			return usages, nil
		}
		usages = usages[:0]
	}
	return nil, errors.New("the server's clock jumps")
}
