package ledger

import (
	"context"
	"errors"
	"time"
)

// How often those who wait for the ledger look at it.
//
// They look rather than being told: what a Redis Cluster publishes goes to all its nodes, and
// every call would publish for the few that somebody waits for. A look costs one read.
const (
	// soonest is the distance of the first looks: an idle worker needs some milliseconds for
	// a call.
	soonest = 2 * time.Millisecond
	// growth says by what part the distance of looks grows: a wait lasts at most a sixteenth
	// longer than what it waits for, up to lookEvery.
	growth = 16
	// lookEvery is the distance of later looks; it grows up to mostLook while nothing changes.
	lookEvery = 250 * time.Millisecond
	mostLook  = 4 * lookEvery
	// breather is how many times what a look took the next one waits at least.
	breather = 4
)

// Look calls next until it says that nothing is left to see or ctx ends: soon at first, and then more and more rarely
// while nothing changes.
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

// Patience is how long Wait bears a Redis that does not answer.
const Patience = time.Minute

// Wait looks, as Look does, until look is done. Its error is look's, if that is ErrNoCall or ErrNoBatch or has
// lasted for Patience; or ctx's, if ctx ends first.
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
