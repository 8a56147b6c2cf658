package ledger

import (
	"context"
	"errors"
	"time"
)

// How often a process that waits for the ledger looks at it.
//
// It looks, and does not subscribe: a Redis Cluster sends what is published to all its nodes, and
// every call would publish, though somebody waits for only a few of them. A look costs one read.
const (
	// soonest is the interval between the first looks: an idle worker needs a few milliseconds
	// for a call.
	soonest = 2 * time.Millisecond
	// growth says that each interval is a sixteenth longer than the last: a wait lasts at most
	// that much longer than what it waits for, up to lookEvery.
	growth = 16
	// lookEvery is the interval between later looks; it grows up to mostLook while nothing changes.
	lookEvery = 250 * time.Millisecond
	mostLook  = 4 * lookEvery
	// breather is the shortest pause after a look, as a multiple of the time that the look took.
	breather = 4
)

// Look calls next until next says that nothing is left to see, or ctx ends. It calls often at first, and then less and
// less often while nothing changes.
func Look(ctx context.Context, next func() (changed, more bool)) {
	distance := soonest
	for pause := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		began := time.Now()
		changed, more := next()
		if !more {
			return
		}
		switch {
		case changed:
			distance = min(distance+distance/growth, lookEvery)
		case distance < lookEvery:
			distance += distance / growth
		default:
			distance = min(distance*5/4, mostLook)
		}
		pause = max(distance, breather*time.Since(began))
	}
}

// Patience is how long Wait keeps trying while Redis does not answer.
const Patience = time.Minute

// Wait looks, as Look does, until look says that it is done. It returns look's error if that is ErrNoCall or ErrNoBatch,
// or if errors have lasted for Patience; and ctx's error if ctx ends first.
func Wait(ctx context.Context, look func() (changed, done bool, err error)) (failed error) {
	var away time.Time // since when Redis does not answer
	ended := false
	Look(ctx, func() (bool, bool) {
		changed, done, err := look()
		switch {
		case ctx.Err() != nil:
			return false, false
		case err == nil:
			ended, away = done, time.Time{}
			return changed, !done
		case away.IsZero():
			away = time.Now()
		}
		if errors.Is(err, ErrNoCall) || errors.Is(err, ErrNoBatch) || time.Since(away) > Patience {
			failed = err
		}
		return false, failed == nil
	})
	if failed == nil && !ended {
		failed = ctx.Err()
	}
	return failed
}
