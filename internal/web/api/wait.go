package api

import (
	"context"
	"net/url"
	"time"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/web/guard"
	"habilita/internal/web/hub"
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

// look is what one look at something saw.
type look[T any] struct {
	seen    T
	settled bool
}

// wait looks again until a thing is settled, d is over, the caller has gone or the server shuts down, and returns what was
// seen last. However many wait for the same thing, it is read only as often as for one. first is what the caller has just
// seen.
func wait[T any](ctx context.Context, looks *hub.Hub, d time.Duration, t hub.Topic, first T) (last T, err error) {
	ctx, end := guard.UntilClosing(ctx)
	defer end()
	defer time.AfterFunc(d, end).Stop()
	last, t.Since = first, time.Now()
	ledger.Look(ctx, func() (changed, more bool) {
		l, failed := hub.Get[look[T]](ctx, looks, t, true)
		if ctx.Err() != nil {
			return false, false
		}
		if err = failed; err == nil {
			last = l.seen
		}
		return false, !l.settled && !gone(err)
	})
	return last, err
}

// gone reports whether there is nothing to wait for any more. Other errors do not end a wait: Redis may come back.
var gone = redisconn.IsAny(ledger.ErrNoBatch, ledger.ErrNoCall)

// lookAtBatch reads a batch for those who wait for it. If a part of it can't be read, it is
// shown, and not settled.
func (a *API) lookAtBatch(ctx context.Context, name string) (look[control.Status], error) {
	s, err := a.Control.Status(ctx, name)
	_, err = control.SplitUnread(err)
	return look[control.Status]{s, s.Settled}, err
}

func (a *API) lookAtCall(ctx context.Context, key control.CallKey) (look[control.CallRecord], error) {
	c, err := a.Control.Call(ctx, key)
	if err != nil {
		return look[control.CallRecord]{}, err
	}
	settled, err := a.Control.Settled(ctx, c)
	return look[control.CallRecord]{c, settled}, err
}
