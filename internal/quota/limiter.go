package quota

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/nudge"
	"habilita/internal/redisconn"
)

// Limiter grants requests of tokens. Its state is in Redis, apart from what it saw of the
// server, a freeze and its waiters; make one for a Redis and share it. Safe for concurrent
// use. It needs no closing, and does not close its client.
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
	name := rand.Text()
	waits := &hub{rdb: rdb, name: name, channel: s.Prefix + ":woken:" + name, seats: map[string]*seat{}}
	return &Limiter{rdb: rdb, settings: s, scripts: newScripts(), hub: waits}, nil
}

// Settings returns the settings in use, with their defaults.
func (l *Limiter) Settings() Settings { return l.settings }

// Args returns Settings.Args as of now, for a bucket that may have no epoch.
func (l *Limiter) Args() []any { return l.settings.Args(l.clock.Now(), l.notBefore.Load(), false) }

// Now returns the time of the Redis server, as its last answers told it; before the
// first one, that of this machine.
func (l *Limiter) Now() time.Time { return l.clock.Now() }

// FreezeUntil refuses all grants of this Limiter before t, by the server's clock: for
// a Redis that restarted and may have lost its last writes, slots among them. Freeze
// for one lease from when the restart was seen. A freeze is never shortened. Other
// processes must freeze too.
//
// If habilita's workers use the same Redis and prefix, they take care of it: they keep what they
// found with the slots, in the epoch of every bucket, and a Limiter goes by it.
func (l *Limiter) FreezeUntil(t time.Time) { l.notBefore.Until(t) }

// Freeze is until when nothing is granted, in ms by the clock of Redis. It is never shortened.
type Freeze struct{ atomic.Int64 }

// Until freezes grants until t, or longer if they already are.
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
	args := append([]any{token, nonce, waiter, redisconn.Millis(since)}, l.settings.Args(l.clock.Now(), l.notBefore.Load(), known)...)
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
	r, err := s.Script().Run(ctx, l.rdb, redisconn.BucketKeys(l.settings.Prefix, Tag(token)), args...).Slice()
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

// leaveTime is how long a waiter whose context has ended may take to leave the queue.
const leaveTime = 2 * time.Second

// Acquire waits for a slot and returns the grant, in the order of arrival over all
// processes. It does not poll: it tries again when it is woken and when the first
// lease ends. A refusal that is not about slots is a *NotNowError at once. When ctx
// ends, it leaves the queue, passes on a wake that it got, and returns ctx's error; no
// slot is held then.
//
// Waiters of one Limiter share one connection of their own (a subscription) for as
// long as there are any; none of them keeps a connection of the pool.
func (l *Limiter) Acquire(ctx context.Context, token string) (Grant, error) {
	d, err := l.attempt(ctx, token, "", time.Time{})
	if err != nil || d.Granted {
		return d.Grant, err
	}
	seat, err := l.hub.join(ctx)
	if err != nil {
		return Grant{}, err
	}
	defer l.hub.leave(seat)
	g, err := l.queue(ctx, token, seat, d.Now)
	if err != nil {
		// The queue forgets a waiter that does not come back; a failure here costs only time.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
		defer cancel()
		_, _ = l.leave(clean, token, seat.name)
	}
	return g, err
}

// attempt tries once, for Acquire. A refusal that is not about slots is an error.
func (l *Limiter) attempt(ctx context.Context, token, waiter string, since time.Time) (Decision, error) {
	if err := ctx.Err(); err != nil {
		return Decision{}, err
	}
	d, err := l.try(ctx, token, waiter, since)
	if err == nil && !d.Granted && d.Reason != ReasonSlots {
		err = &NotNowError{Decision: d}
	}
	return d, err
}

// queue tries until it is granted. The first try is made with the seat taken, so
// that no wake comes before we listen.
func (l *Limiter) queue(ctx context.Context, token string, seat *seat, since time.Time) (Grant, error) {
	for {
		d, err := l.attempt(ctx, token, seat.name, since)
		if err != nil || d.Granted {
			return d.Grant, err
		}
		select {
		case <-seat.woken:
		case <-time.After(d.Wait() + time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// subscribeTime is how long Redis may take to confirm a subscription.
const subscribeTime = 5 * time.Second

// hub tells the waiters of one Limiter that they were woken. Scripts publish a
// waiter's name on the hub's channel; one subscription listens while there are
// waiters. It has a connection of its own. If each waiter blocked a connection of the
// pool, none would be left to release a slot: with 28 waiters in BLPOP for 12 s on a
// pool of 20, the next command took 12 s (measured).
type hub struct {
	rdb     redis.UniversalClient
	name    string
	channel string

	mu    sync.Mutex // also held while a subscription is made
	seats map[string]*seat
	taken uint64
	sub   *redis.PubSub
	done  chan struct{} // closed when the listener of sub has ended
}

// seat is one waiter.
type seat struct {
	name  string
	woken chan struct{} // holds one wake
}

// join takes a seat; wakes published after it returns are heard.
func (h *hub) join(ctx context.Context) (*seat, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.seats) == 0 {
		if err := h.listen(ctx); err != nil {
			return nil, fmt.Errorf("quota: listen for wakes: %w", err)
		}
	}
	h.taken++
	s := &seat{name: "~" + h.name + "." + text(int64(h.taken)), woken: make(chan struct{}, 1)}
	h.seats[s.name] = s
	return s, nil
}

// leave gives up a seat; the last one ends the subscription and waits for its
// listener.
func (h *hub) leave(s *seat) {
	h.mu.Lock()
	delete(h.seats, s.name)
	if len(h.seats) > 0 {
		h.mu.Unlock()
		return
	}
	sub, done := h.sub, h.done
	h.sub, h.done = nil, nil
	h.mu.Unlock()
	_ = sub.Close() // its connection is of no more use either way
	<-done
}

func (h *hub) listen(ctx context.Context) error {
	sub := h.rdb.Subscribe(ctx, h.channel)
	if _, err := sub.ReceiveTimeout(ctx, subscribeTime); err != nil {
		_ = sub.Close()
		return err
	}
	h.sub, h.done = sub, make(chan struct{})
	go h.hear(sub.ChannelWithSubscriptions(), h.done)
	return nil
}

func (h *hub) hear(news <-chan any, done chan<- struct{}) {
	defer close(done)
	for n := range news {
		h.mu.Lock()
		switch n := n.(type) {
		case *redis.Message:
			if s := h.seats[n.Payload]; s != nil {
				nudge.Send(s.woken)
			}
		case *redis.Subscription: // connected again: wakes may have been missed
			for _, s := range h.seats {
				nudge.Send(s.woken)
			}
		}
		h.mu.Unlock()
	}
}
