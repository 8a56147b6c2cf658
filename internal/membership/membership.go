package membership

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// The rhythm of a membership.
const (
	// Beat is how often a process says that it is alive.
	Beat = 5 * time.Second
	// TTL is how long it is believed without a beat.
	TTL = 20 * time.Second
	// Retry is when a beat that failed is tried again.
	Retry = time.Second
)

// Membership is a process that joined. Its methods are safe for concurrent use; Keep is
// to run once, and Leave after it.
type Membership struct {
	registry *Registry
	process  Process
	settings Settings
	record   string
	believed atomic.Pointer[time.Time] // until when, by the monotonic clock
}

// Pulse is what a beat of Keep came to.
type Pulse struct {
	// Rejoined says that the process had lapsed, since Redis lost what it knew or could
	// not be reached for TTL, and that it joined again.
	Rejoined bool
	// Err is why the beat failed; Keep tries again after Retry. Nil where it did not.
	Err error
}

// Process is the one that joined, with its ID.
func (m *Membership) Process() Process { return m.process }

// Current reports whether the others certainly still believe in this process: its last
// beat that worked began less than TTL ago.
func (m *Membership) Current() bool {
	until := m.believed.Load()
	return until != nil && time.Now().Before(*until)
}

// Keep says every Beat that the process is alive, until ctx ends; it then returns nil,
// and the process stays alive until Leave, or for TTL. It joins again where it had lapsed.
// It returns a *MismatchError where others agreed on something else in
// the meantime: the process must then stop. Any other error is told to pulse and tried
// again after Retry.
//
// pulse, which may be nil, is called after each beat from the goroutine of Keep. The first
// beat is at once.
func (m *Membership) Keep(ctx context.Context, pulse func(Pulse)) error {
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wait.C:
		}
		rejoined, err := m.beat(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var differs *MismatchError
		if errors.As(err, &differs) {
			return err
		}
		if pulse != nil {
			pulse(Pulse{Rejoined: rejoined, Err: err})
		}
		if err != nil {
			wait.Reset(Retry)
		} else {
			wait.Reset(Beat)
		}
	}
}

// Leave ends the membership, so that its shared settings may change without a wait for TTL. It
// comes after Keep has returned, whose ctx has ended, with a ctx of its own. Leaving
// twice, or after the membership ended otherwise, is no error.
func (m *Membership) Leave(ctx context.Context) error {
	m.believed.Store(nil)
	_, _, err := m.registry.run(ctx, saysLeft, opLeave, m.process.ID)
	return err
}

// Renew says at once that the process is alive, for one that has found out that Redis lost what
// it knew. The errors are those of Join.
func (m *Membership) Renew(ctx context.Context) error {
	_, err := m.beat(ctx)
	return err
}

// beat joins or stays.
func (m *Membership) beat(ctx context.Context) (joined bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, Beat) // a Redis that hangs is one that failed
	defer cancel()
	until := time.Now().Add(TTL)
	says, others, err := m.registry.beat(ctx, m.process.ID, m.record, TTL)
	if err != nil {
		return false, err
	}
	switch says {
	case saysKept, saysJoined:
		m.believed.Store(&until)
		return says == saysJoined, nil
	case saysDiffers:
		m.believed.Store(nil)
		return false, mismatch(m.settings, others)
	}
	return false, errors.New("membership: the script gave an unknown reply")
}
