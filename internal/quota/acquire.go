package quota

import (
	"context"
	"time"
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
