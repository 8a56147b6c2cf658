package quota

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// How long a waiter whose context has ended may take to leave the queue.
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
	if err := ctx.Err(); err != nil {
		return Grant{}, err
	}
	d, err := l.try(ctx, token, "", time.Time{})
	if err != nil || d.Granted {
		return d.Grant, err
	}
	if d.Reason != ReasonSlots {
		return Grant{}, &NotNowError{Decision: d}
	}
	seat, err := l.hub.join(ctx)
	if err != nil {
		return Grant{}, err
	}
	defer l.hub.leave(seat)
	g, err := l.queue(ctx, token, seat, d.Now)
	if err != nil {
		// The queue forgets who does not come back; a failure here costs only time.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
		defer cancel()
		_, _ = l.leave(clean, token, seat.name)
	}
	return g, err
}

// queue tries until it is granted. The first try is made with the seat taken, so
// that no wake comes before we listen.
func (l *Limiter) queue(ctx context.Context, token string, seat *seat, since time.Time) (Grant, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Grant{}, err
		}
		d, err := l.try(ctx, token, seat.name, since)
		if err != nil || d.Granted {
			return d.Grant, err
		}
		if d.Reason != ReasonSlots {
			return Grant{}, &NotNowError{Decision: d}
		}
		select {
		case <-seat.woken:
		case <-time.After(d.Wait() + time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// How long Redis may take to confirm a subscription.
const subscribeTime = 5 * time.Second

// hub tells the waiters of one Limiter that they were woken. Scripts publish a
// waiter's name on the hub's channel; one subscription listens while there are
// waiters. It has a connection of its own: waiters that block one of the pool each
// keep those out who would release a slot: with 28 of them in BLPOP for 12 s on a
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

func newHub(rdb redis.UniversalClient, prefix string) *hub {
	name := rand.Text()
	return &hub{rdb: rdb, name: name, channel: prefix + ":woken:" + name, seats: map[string]*seat{}}
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

// leave gives a seat up; the last one ends the subscription and waits for its
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
		switch n := n.(type) {
		case *redis.Message:
			h.wake(n.Payload)
		case *redis.Subscription:
			h.wakeAll() // connected again: wakes may have been missed
		}
	}
}

func (h *hub) wake(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.seats[name]; s != nil {
		s.tell()
	}
}

func (h *hub) wakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.seats {
		s.tell()
	}
}

func (s *seat) tell() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}
