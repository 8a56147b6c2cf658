package engine

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
)

// leases ends tasks of asynq that have no lease. asynq's recoverer looks at the set of leases
// alone, so a task that is in the list of active ones and has lost its lease stays there for
// ever (asynq #1144). Here it gets a lease that has ended, and asynq does the rest. The task may
// run again: its dispatch number makes that harmless.
type leases struct {
	rdb    redis.UniversalClient
	queues []string
	here   *sync.Map           // ids of the tasks that this process runs
	seen   map[string]struct{} // without a lease at the last look
}

// look mends the tasks that have had no lease at two looks. One look is not enough: the two
// reads are not of one moment. It returns how many it mended.
func (l *leases) look(ctx context.Context) (mended int, err error) {
	without := map[string]struct{}{}
	for _, queue := range l.queues {
		n, failed := l.lookAt(ctx, queue, without)
		mended, err = mended+n, errors.Join(err, failed)
	}
	l.seen = without
	return mended, err
}

func (l *leases) lookAt(ctx context.Context, queue string, without map[string]struct{}) (int, error) {
	prefix := "asynq:{" + queue + "}:"
	active, err := l.rdb.LRange(ctx, prefix+"active", 0, -1).Result()
	if err != nil || len(active) == 0 {
		return 0, err
	}
	ids, err := l.rdb.ZRange(ctx, prefix+"lease", 0, -1).Result()
	if err != nil {
		return 0, err
	}
	leased := map[string]bool{}
	for _, id := range ids {
		leased[id] = true
	}
	var ended []redis.Z
	for _, id := range active {
		if _, here := l.here.Load(id); here || leased[id] {
			continue
		}
		without[id] = struct{}{}
		if _, ok := l.seen[id]; ok {
			// A process that does run it renews any lease that is there, this one too.
			ended = append(ended, redis.Z{Member: id})
		}
	}
	if len(ended) == 0 {
		return 0, nil
	}
	return len(ended), l.rdb.ZAddNX(ctx, prefix+"lease", ended...).Err()
}

// forget begins anew, where another worker looks.
func (l *leases) forget() { l.seen = nil }
