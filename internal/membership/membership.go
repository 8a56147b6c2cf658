package membership

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// The rhythm of a membership.
const (
	// Beat is how often a process says that it is alive.
	Beat = 5 * time.Second
	// TTL is how long it counts as alive without a beat.
	TTL = 20 * time.Second
	// Retry is how long after a failed beat the next one is tried.
	Retry = time.Second
)

// Membership is a process that joined. Its methods are safe for concurrent use, but call
// Keep once, and Leave after it.
type Membership struct {
	registry *Registry
	id       string
	settings Settings
	record   string
	believed atomic.Pointer[time.Time] // until when
}

// Current reports whether the process certainly still counts as alive for the others: its
// last beat that worked began less than TTL ago.
func (m *Membership) Current() bool { return m.currentAt(time.Now()) }

// currentAt goes by the wall clock too: the monotonic one stands still while the machine is suspended.
func (m *Membership) currentAt(now time.Time) bool {
	until := m.believed.Load()
	return until != nil && now.Before(*until) && now.Round(0).Before(until.Round(0))
}

// Keep says every Beat, from now on, that the process is alive. When ctx ends it returns nil, and the
// process stays alive until Leave, or for TTL. It joins again if it had lapsed. It returns a
// *MismatchError if others agreed on something else in the meantime: the process must then stop.
// After any other error it tries again after Retry.
func (m *Membership) Keep(ctx context.Context) error {
	for pause := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		err := m.Renew(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if _, differs := errors.AsType[*MismatchError](err); differs {
			return err
		}
		if pause = Beat; err != nil {
			pause = Retry
		}
	}
}

// Leave ends the membership, so that its shared settings may change without a wait for TTL. Call
// it after Keep has returned, with another ctx: that of Keep has ended. Leaving twice, or
// after the membership ended otherwise, is no error.
func (m *Membership) Leave(ctx context.Context) error {
	m.believed.Store(nil)
	_, _, err := m.registry.run(ctx, opLeave, m.id)
	return err
}

// Renew says at once that the process is alive, and joins again if it had lapsed. The errors are those of Join.
func (m *Membership) Renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, Beat) // a Redis that hangs has failed
	defer cancel()
	until := time.Now().Add(TTL)
	says, others, err := m.registry.run(ctx, opBeat, m.id, m.record, TTL.Milliseconds())
	if err != nil {
		return err
	}
	if says == saysDiffers {
		m.believed.Store(nil)
		return mismatch(m.settings, others)
	}
	m.believed.Store(&until)
	return nil
}

// Lead reports whether the process me leads: it is the one of many that does what one is enough for. It leads
// for the lease, and for longer each time that it asks. When its lease has ended, another one leads. For a
// moment two may lead, so what they do must allow for that.
func Lead(ctx context.Context, rdb redis.UniversalClient, key, me string, lease time.Duration) (bool, error) {
	won, err := rdb.SetNX(ctx, key, me, lease).Result()
	if err != nil || won {
		return won, err
	}
	who, err := rdb.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) || err == nil && who != me {
		return false, nil // a key that has just gone is another's to take
	}
	if err != nil {
		return false, err
	}
	return true, rdb.PExpire(ctx, key, lease).Err()
}
