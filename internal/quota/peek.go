package quota

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"habilita/internal/redisconn"
)

// Usage is what a token has used and may still use.
type Usage struct {
	Token    string // its name
	Used     int    // requests counted on the day of Now
	Licenses int
	Limit    int // requests of a day
	Held     int // slots taken
	Waiting  int // waiters for a slot
	// CoolingUntil is zero where the token does not cool down.
	CoolingUntil time.Time
	CoolingWhy   string
	Probe        time.Time // the next gentle try not before; zero for none
	Now          time.Time // the server's
	NextDay      time.Time // when the next day's first request may be granted
}

// Left is how many requests of the day are left, at least 0.
func (u Usage) Left() int { return max(0, u.Limit-u.Used) }

// How many tokens are asked for in one pipeline: some hundred microseconds of the
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
		settings := l.settings.Args(l.clock.Now(), l.notBefore.Load(), false)
		of := make([]redisconn.Execution, len(tokens))
		for i, t := range tokens {
			of[i] = redisconn.Execution{Keys: scriptKeys(l.settings.Prefix, t), Args: append([]any{t}, settings...)}
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
