package quota

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"habilita/internal/redisconn"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Limiter grants requests of tokens. It holds no state of its own but the server's time
// and a freeze; make one for a Redis and share it. Safe for concurrent use. It needs
// no closing, and does not close its client.
type Limiter struct {
	rdb       redis.UniversalClient
	settings  Settings
	scripts   scripts
	clock     Clock
	notBefore Freeze
	known     sync.Map // tags of the buckets that had an epoch
	hub       *hub
}

// New makes a Limiter on rdb. Zero fields of s get their defaults; every fault of
// the others is reported at once. Nothing is sent to Redis yet.
func New(rdb redis.UniversalClient, s Settings) (*Limiter, error) {
	if rdb == nil {
		return nil, errors.New("quota: New needs a Redis client")
	}
	s, err := s.WithDefaults()
	if err != nil {
		return nil, err
	}
	return &Limiter{rdb: rdb, settings: s, scripts: newScripts(), hub: newHub(rdb, s.Prefix)}, nil
}

// Settings are those in use, with their defaults.
func (l *Limiter) Settings() Settings { return l.settings }

// Now is the time of the Redis server, as its last answers told it; before the first
// one, that of this machine.
func (l *Limiter) Now() time.Time { return l.clock.Now() }

// FreezeUntil refuses all grants of this Limiter before t, by the server's clock: for
// a Redis that restarted and may have lost its last writes, slots among them. Freeze
// for one lease from when the restart was seen. A freeze is never shortened. Other
// processes must freeze too.
//
// Where habilita's workers use the same Redis and prefix they see to it: what they found is
// kept with the slots, in the epoch of every bucket, and a Limiter goes by it.
func (l *Limiter) FreezeUntil(t time.Time) { l.notBefore.Until(t) }

// Freeze is until when nothing is granted, in ms by the clock of Redis. It is never shortened.
type Freeze struct{ atomic.Int64 }

// Until lets nothing be granted before t.
func (f *Freeze) Until(t time.Time) {
	for ms := t.UnixMilli(); ; {
		if have := f.Load(); have >= ms || f.CompareAndSwap(have, ms) {
			return
		}
	}
}

// Try asks for one request of a token now: one script call. token is the NAME of a
// token (see the package's documentation), never the token. Every attempt gets a
// nonce of its own. A refusal is no error; with an error there is no grant to use,
// though a slot may have been taken until its lease ends (the answer got lost).
func (l *Limiter) Try(ctx context.Context, token string) (Decision, error) {
	return l.try(ctx, token, "", time.Time{})
}

// try queues the waiter ("": none) by its arrival if all slots are taken.
func (l *Limiter) try(ctx context.Context, token, waiter string, since time.Time) (Decision, error) {
	if err := checkName(token); err != nil {
		return Decision{}, err
	}
	nonce := rand.Text()
	d, err := l.grant(ctx, token, nonce, waiter, since)
	if err == nil && d.Reason == ReasonClock {
		// The days were those of a clock that is off; the answer told the time.
		d, err = l.grant(ctx, token, nonce, waiter, since)
	}
	return d, err
}

func (l *Limiter) grant(ctx context.Context, token, nonce, waiter string, since time.Time) (Decision, error) {
	_, known := l.known.Load(Tag(token))
	args := append([]any{token, nonce, waiter, millis(since)}, l.settings.Args(l.clock.Now(), l.notBefore.Load(), known)...)
	r, err := l.run(ctx, l.scripts.grant, token, args...)
	if err != nil {
		return Decision{}, err
	}
	if r.Int(8) == 1 {
		l.known.Store(Tag(token), true)
	}
	d := Decision{Now: r.Time(5)}
	if why := r.Str(0); why == "granted" {
		d.Granted = true
		d.Grant = Grant{
			Token: token, Nonce: nonce, Ends: r.Time(1), Days: r.Str(2),
			Used: int(r.Int(3)), Limit: int(r.Int(4)), Probe: r.Int(6) == 1, Others: int(r.Int(7)),
		}
	} else {
		d.Reason, d.RetryAt, d.Detail = Reason(why), r.Time(1), r.Str(2)
	}
	return d, nil
}

// run calls a script on the keys of a token.
func (l *Limiter) run(ctx context.Context, s script, token string, args ...any) (redisconn.Reply, error) {
	r, err := s.Run(ctx, l.rdb, scriptKeys(l.settings.Prefix, token), args...).Slice()
	if err != nil {
		return nil, fmt.Errorf("quota: %s: %w", s.name, err)
	}
	return l.read(s, r), nil
}

// read learns the server's time from a reply.
func (l *Limiter) read(s script, r redisconn.Reply) redisconn.Reply {
	l.clock.Observe(r.Int(s.now))
	return r
}
