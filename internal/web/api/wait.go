package api

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/web/guard"
)

// MaxWait is the longest that wait= may ask for.
const MaxWait = time.Minute

// waitOf reads wait; 0: answer at once.
func waitOf(q url.Values) (time.Duration, error) {
	if !q.Has("wait") {
		return 0, nil
	}
	d, err := time.ParseDuration(q.Get("wait"))
	if err != nil || d < 0 || d > MaxWait {
		return 0, refuseField(badParameter, "wait", "want a duration such as 30s or 1m, at most %d seconds", int(MaxWait.Seconds()))
	}
	return d, nil
}

// looks lets any number of requests wait for the same things while each thing is looked at
// once. It is safe for concurrent use.
type looks[K comparable, T any] struct {
	look func(ctx context.Context, key K) (v T, settled bool, err error)

	mu sync.Mutex
	by map[K]*shared[T]
}

// shared is one thing that is looked at, for as long as somebody waits for it. looks.mu guards all but ended.
type shared[T any] struct {
	waiters int
	stop    context.CancelFunc
	ended   chan struct{} // closed when nothing more is looked at
	last    T             // what was seen last
	err     error
}

// wait returns what was last seen of key, once it is settled, d is over, the caller has gone
// or the server shuts down. first is what the caller has just seen.
func (l *looks[K, T]) wait(ctx context.Context, key K, d time.Duration, first T) (T, error) {
	s := l.join(ctx, key, first)
	ctx, end := guard.UntilClosing(ctx)
	defer end()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.ended:
	case <-timer.C:
	case <-ctx.Done():
	}
	l.mu.Lock()
	s.waiters--
	last, err, alone := s.last, s.err, s.waiters == 0
	if alone {
		delete(l.by, key)
	}
	l.mu.Unlock()
	if alone {
		s.stop()
		<-s.ended
	}
	return last, err
}

func (l *looks[K, T]) join(ctx context.Context, key K, first T) *shared[T] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.by[key]; s != nil {
		s.waiters++
		return s
	}
	// The looks belong to all who wait, and end with the last of them.
	looking, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &shared[T]{waiters: 1, stop: stop, ended: make(chan struct{}), last: first}
	if l.by == nil {
		l.by = map[K]*shared[T]{}
	}
	l.by[key] = s
	go func() {
		defer close(s.ended)
		ledger.Look(looking, func() (changed, more bool) {
			v, settled, err := l.look(looking, key)
			if looking.Err() != nil {
				return false, false
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			s.last, s.err = v, err
			return false, !settled && !gone(err)
		})
	}()
	return s
}

// gone reports whether there is nothing to wait for any more. Other errors are borne: Redis may be back.
func gone(err error) bool {
	return errors.Is(err, ledger.ErrNoBatch) || errors.Is(err, ledger.ErrNoCall)
}

// lookAtBatch reads a batch for those who wait for it. A batch of which a part can't be read
// is shown, and not settled.
func (a *API) lookAtBatch(ctx context.Context, name string) (control.Status, bool, error) {
	s, err := a.Operator.Status(ctx, name)
	if err != nil && s.Unread > 0 {
		err = nil
	}
	return s, s.Settled, err
}

func (a *API) lookAtCall(ctx context.Context, key control.CallKey) (control.CallRecord, bool, error) {
	c, err := a.Operator.Call(ctx, key)
	if err != nil {
		return c, false, err
	}
	settled, err := a.Operator.Settled(ctx, c)
	return c, settled, err
}
