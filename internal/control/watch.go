package control

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"habilita/internal/ledger"
)

// ErrNotSettled says that the time to wait was over first.
var ErrNotSettled = errors.New("not settled yet")

// WaitSettled waits until a batch is settled and returns its last counts. After
// timeout (0: none) the error is ErrNotSettled; when ctx ends, its own. If Redis does
// not answer, it goes on trying for a minute.
func (o *Control) WaitSettled(ctx context.Context, batchName string, timeout time.Duration) (last Status, err error) {
	err = wait(ctx, timeout, func(ctx context.Context) (changed, settled bool, err error) {
		s, err := o.Status(ctx, batchName)
		if err != nil {
			return false, false, err
		}
		changed, last = s != last, s
		return changed, s.Settled, nil
	})
	return last, err
}

// CallKey tells calls with the same id apart, by the batch's name ("": none) and the token_id.
type CallKey struct{ ID, Batch, TokenID string }

// WaitCall waits until a call has a result, or stands behind a held head: then nothing
// happens without a person. Otherwise it is like WaitSettled.
func (o *Control) WaitCall(ctx context.Context, k CallKey, timeout time.Duration) (last CallRecord, err error) {
	err = wait(ctx, timeout, func(ctx context.Context) (changed, settled bool, err error) {
		r, err := o.Call(ctx, k)
		if err != nil {
			return false, false, err
		}
		changed, last = r != last, r
		// A call that has just changed is hardly held: the next look asks.
		if settled = !r.Open(); !settled && !changed {
			settled, err = o.Settled(ctx, r)
		}
		return changed, settled, err
	})
	return last, err
}

// Call returns the one call that a key names.
func (o *Control) Call(ctx context.Context, k CallKey) (CallRecord, error) {
	all, err := o.Show(ctx, k.ID)
	if err != nil {
		return CallRecord{}, err
	}
	at := slices.IndexFunc(all, func(r CallRecord) bool { return r.TokenID == k.TokenID && r.Batch == ledger.BatchID(k.Batch) })
	if at < 0 {
		return CallRecord{}, &UnknownError{ledger.ErrNoCall, k.ID}
	}
	return all[at], nil
}

// Settled reports whether a call has a result or stands behind a held head: then nothing
// happens without a person.
func (o *Control) Settled(ctx context.Context, r CallRecord) (bool, error) {
	if !r.Open() {
		return true, nil
	}
	c, ok, err := o.ledger.ChainByID(ctx, r.Chain)
	return ok && c.State == stateHeld, of(err, "chain %s", r.Chain)
}

// wait is ledger.Wait with a time-out; 0: none.
func wait(ctx context.Context, timeout time.Duration, look func(context.Context) (changed, settled bool, err error)) error {
	parent, stop := ctx, context.CancelFunc(func() {})
	if timeout > 0 {
		ctx, stop = context.WithTimeout(parent, timeout)
	}
	defer stop()
	err := ledger.Wait(ctx, func() (changed, settled bool, err error) { return look(ctx) })
	if err != nil && err == ctx.Err() {
		return cmp.Or(parent.Err(), ErrNotSettled)
	}
	return err
}
