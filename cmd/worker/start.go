package main

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/redisconn"
)

// checked is what worker --check says: also what only a call can show.
const checked = `settings and Redis are fine
not checked, since only a call shows it: whether wolkvox can be reached from here and lets this
address in, whether tokens and their licences are right, and whether every machine's clock is
`

// redisError is an error of Redis that says what to do next.
type redisError struct{ err error }

func (e *redisError) Error() string { return redisconn.Describe(e.err) }
func (e *redisError) Unwrap() error { return e.err }

// startAtMost is how long a start waits for what passes. The failover of a cluster takes its
// cluster-node-timeout (15 s by default) and some seconds.
const startAtMost = time.Minute

// startPatience makes a start wait while Redis fails over or reads its data, rather than
// end: what restarts workers gives up after a few times.
type startPatience struct {
	several bool // more than one node can serve
	log     zerolog.Logger
	most    time.Duration // 0: no wait
	pause   time.Duration // between two tries
}

// try calls start until it succeeds, fails of something that does not pass, or most has
// passed. The error is start's last one.
func (p startPatience) try(ctx context.Context, start func() error) error {
	began := time.Now()
	timer := time.NewTimer(p.pause)
	defer timer.Stop()
	for told := false; ; told = true {
		err := start()
		if err == nil || ctx.Err() != nil || !redisconn.Passing(err, p.several) || time.Since(began) >= p.most {
			return err
		}
		if !told {
			p.log.Warn().Str("why", redisconn.Describe(err)).Dur("at_most", p.most).Msg("Redis is not ready: the start waits")
		}
		timer.Reset(p.pause)
		select {
		case <-ctx.Done():
			return err
		case <-timer.C:
		}
	}
}

// stoppedOr is errStopped where a start failed since it was told to end. A check that was
// ended has not checked.
func stoppedOr(ctx context.Context, checkOnly bool, err error) error {
	var usage usageError
	switch {
	case ctx.Err() == nil, errors.As(err, &usage):
		return err
	case checkOnly:
		return errors.New("it was told to stop before all was checked")
	}
	return errStopped
}

const (
	// manyPlaces is CONCURRENCY from which on a worker collects garbage more often: what its requests hold
	// is large then, and Go would let as much again pile up.
	manyPlaces  = 2000
	collectMore = 50 // GOGC
)

// saveMemory keeps a worker with very many requests in flight small. A GOGC of the environment holds.
func saveMemory(concurrency int) {
	if concurrency >= manyPlaces && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectMore)
	}
}
