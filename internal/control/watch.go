package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"habilita/internal/ledger"
)

// patience is how long a wait bears a Redis that does not answer.
const patience = time.Minute

// ErrNotSettled says that a wait's time was over first.
var ErrNotSettled = errors.New("not settled yet")

// WaitSettled waits until a batch is settled and returns its last counts. After
// timeout (0: none) the error is ErrNotSettled; when ctx ends, its own. A Redis that
// does not answer is borne for a minute. seen, where not nil, is told every change.
func (o *Control) WaitSettled(ctx context.Context, batchName string, every, timeout time.Duration, seen func(Status)) (Status, error) {
	w := newWait(ctx, timeout)
	defer w.stop()
	var last Status
	var failure error
	first := true
	ledger.Look(w.ctx, every, func() (changed, more bool) {
		s, err := o.Status(w.ctx, batchName)
		if w.ctx.Err() != nil {
			return false, false
		}
		if failure = w.bear(err); err != nil {
			return false, failure == nil
		}
		changed = first || s != last
		if first, last = false, s; changed && seen != nil {
			seen(s)
		}
		return changed, !s.Settled
	})
	if failure == nil && !last.Settled {
		failure = w.why()
	}
	return last, failure
}

// CallKey tells calls of one id apart: the batch's name ("" none) and the token_id.
type CallKey struct{ ID, Batch, TokenID string }

// WaitCall waits until a call has a result, or stands behind a held head: then nothing
// happens without a person. Otherwise it is as WaitSettled.
func (o *Control) WaitCall(ctx context.Context, k CallKey, every, timeout time.Duration) (CallRecord, error) {
	w := newWait(ctx, timeout)
	defer w.stop()
	var last CallRecord
	var failure error
	settled := false
	ledger.Look(w.ctx, every, func() (changed, more bool) {
		r, err := o.Call(w.ctx, k)
		if err == nil {
			changed, last = r != last, r
			// What has just changed is hardly held: the next look asks.
			if settled = !r.Open(); !settled && !changed {
				settled, err = o.Settled(w.ctx, r)
			}
		}
		if w.ctx.Err() != nil {
			return false, false
		}
		failure = w.bear(err)
		return changed, failure == nil && !settled
	})
	if failure == nil && !settled {
		failure = w.why()
	}
	return last, failure
}

// Call returns the one call that a key tells.
func (o *Control) Call(ctx context.Context, k CallKey) (CallRecord, error) {
	all, err := o.Show(ctx, k.ID)
	if err != nil {
		return CallRecord{}, err
	}
	for _, r := range all {
		if r.TokenID == k.TokenID && r.batch == ledger.BatchID(k.Batch) {
			return r, nil
		}
	}
	return CallRecord{}, &UnknownCallError{ID: k.ID}
}

// Settled reports whether a call has a result or stands behind a held head: then nothing
// happens without a person.
func (o *Control) Settled(ctx context.Context, r CallRecord) (bool, error) {
	if !r.Open() {
		return true, nil
	}
	return o.held(ctx, r.Chain)
}

// held reports whether a chain waits for a person.
func (o *Control) held(ctx context.Context, id string) (bool, error) {
	for c, err := range o.ledger.Chains(ctx, []string{ledger.Tag(id)}, true) {
		if err != nil {
			return false, fmt.Errorf("chains: %w", err)
		}
		if c.ID == id {
			return true, nil
		}
	}
	return false, nil
}

// wait bounds a wait and keeps since when Redis does not answer.
type wait struct {
	parent, ctx context.Context
	stop        context.CancelFunc
	awaySince   time.Time
}

func newWait(ctx context.Context, timeout time.Duration) *wait {
	w := &wait{parent: ctx}
	if timeout > 0 {
		w.ctx, w.stop = context.WithTimeout(ctx, timeout)
	} else {
		w.ctx, w.stop = context.WithCancel(ctx)
	}
	return w
}

// bear returns the error that ends the wait, nil for none.
func (w *wait) bear(err error) error {
	if err == nil {
		w.awaySince = time.Time{}
		return nil
	}
	if errors.Is(err, ledger.ErrNoCall) || errors.Is(err, ledger.ErrNoBatch) {
		return err
	}
	if w.awaySince.IsZero() {
		w.awaySince = time.Now()
	}
	if time.Since(w.awaySince) > patience {
		return err
	}
	return nil
}

// why says why a wait ended before what it waited for came.
func (w *wait) why() error {
	if err := w.parent.Err(); err != nil {
		return err
	}
	return ErrNotSettled
}
