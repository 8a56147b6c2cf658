package ledger

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	deleteScript = alone("delete")
	unlistScript = alone("unlist")
)

// late is how much longer than it may an append is reckoned with: the buckets of a cluster
// have other clocks than the batch.
const late = 30 * time.Second

// MayPurge reports whether the calls of a batch may be purged: no run of it lives, and no
// producer may append to the buckets that it noted. The mark is for Delete.
//
// A purge asks this first, then reads the buckets, purges and counts them, and deletes the batch
// if none has a call. Whoever noted a bucket before it asked can append no more, and its bucket is
// among those read; whoever notes one after that has Delete refuse. So no call is left behind.
func (s *Batches) MayPurge(ctx context.Context, id string) (mark string, ok bool, err error) {
	mark, err = s.delete(ctx, id, "")
	return mark, mark != "", err
}

// Delete forgets a batch that has no calls, or reports that it is in use again. What a delete
// that was cut off leaves in the list is Tidy's.
func (s *Batches) Delete(ctx context.Context, m Batch, mark string) (bool, error) {
	done, err := s.delete(ctx, m.ID, mark)
	if err != nil || done == "" {
		return false, err
	}
	return true, s.forget(ctx, m.ID, entry(m).Score)
}

func (s *Batches) delete(ctx context.Context, id, mark string) (string, error) {
	keys := []string{s.metaKey(id), s.bucketsKey(id), s.runsKey(id)}
	return deleteScript.run(ctx, s.rdb, keys, late.Milliseconds(), mark).Text()
}

// forget removes what is not kept beside the batch. A batch that was made anew uses none of it.
func (s *Batches) forget(ctx context.Context, id string, score float64) error {
	if err := s.rdb.Del(ctx, s.oldBucketsKey(id)).Err(); err != nil {
		return err
	}
	return unlistScript.run(ctx, s.rdb, []string{s.listKey()}, id, strconv.FormatFloat(score, 'f', -1, 64)).Err()
}

// Tidy takes batches out of the list that were listed before that time and are not there.
func (s *Batches) Tidy(ctx context.Context, before time.Time) error {
	listed, err := s.rdb.ZRangeByScoreWithScores(ctx, s.listKey(),
		&redis.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(before.UnixMilli(), 10)}).Result()
	if err != nil {
		return err
	}
	for _, z := range listed {
		id, _ := z.Member.(string)
		if _, err := s.Get(ctx, id); err == nil {
			continue
		} else if !errors.Is(err, ErrNoBatch) {
			return err
		}
		if err := s.forget(ctx, id, z.Score); err != nil {
			return err
		}
	}
	return nil
}
