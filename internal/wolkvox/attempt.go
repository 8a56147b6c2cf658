package wolkvox

import (
	"context"
	"errors"
	"sync"
	"time"
)

var (
	errLate    = errors.New("the moment by which it had to be written has passed")
	errOver    = errors.New("the attempt is over")
	errTwice   = errors.New("the connection broke before the answer; the request is not sent a second time")
	errNoOwner = errors.New("write on a connection without an attempt")
)

// attempt is the permission of one request to reach the wire: open until it is
// closed, used by one connection at most. Safe for concurrent use.
type attempt struct {
	writeBy time.Time // zero: no limit

	mu     sync.Mutex
	owner  *guardConn // the connection that wrote, or is writing; nil: none
	closed bool       // nothing may be written any more
	reused bool       // the last connection that was given had been used before
}

// past reports whether t is over by the monotonic clock or by the wall clock.
// The first stands still while a machine is suspended, the second can be set back.
func past(t time.Time) bool {
	if t.IsZero() {
		return false
	}
	now := time.Now()
	return !now.Before(t) || !now.Round(0).Before(t.Round(0))
}

// begin asks for the right to write on c, and gives it to one connection only.
func (a *attempt) begin(c *guardConn) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.owner != nil && a.owner != c:
		return errTwice
	case a.closed:
		return errOver
	case a.owner == c: // the rest of a request that is being written
		return nil
	case past(a.writeBy):
		a.closed = true
		return errLate
	}
	a.owner = c
	return nil
}

// undo gives the right back after a first write of which no byte left.
func (a *attempt) undo(c *guardConn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.owner == c {
		a.owner = nil
	}
}

// expire closes the attempt unless it has been written, and reports whether it did.
func (a *attempt) expire() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.owner != nil || a.closed {
		return false
	}
	a.closed = true
	return true
}

// end closes the attempt and reports whether anything may have been written.
func (a *attempt) end() (written bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	return a.owner != nil
}

// given notes the connection that net/http chose.
func (a *attempt) given(reused bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reused = reused
}

// diedIdle reports whether the attempt is as new, and the connection that it was
// given had been used before: then that one is dead, and another may be tried.
func (a *attempt) diedIdle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reused && a.owner == nil && !a.closed
}

// written reports whether a connection has the right to write.
func (a *attempt) written() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.owner != nil
}

// refusal is why no connection need be made for the attempt any more, nil where
// one is needed.
func (a *attempt) refusal() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.owner != nil:
		return errTwice
	case past(a.writeBy):
		return errLate
	case a.closed:
		return errOver
	}
	return nil
}

type attemptKey struct{}

// attemptOf finds the attempt that a dial was started for. net/http takes the
// request's cancellation off a dial's context, and leaves its values.
func attemptOf(ctx context.Context) *attempt {
	a, _ := ctx.Value(attemptKey{}).(*attempt)
	return a
}
