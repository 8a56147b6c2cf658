package ledger

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
)

// Refusals of Append, for a ledger that has a Fingerprint.
var (
	// ErrLost says that Redis has lost the data of a bucket (FLUSHALL, keys that were deleted):
	// it has no epoch. Nothing was appended.
	ErrLost = errors.New("the data of the ledger is gone from Redis: enqueue the calls again")
	// ErrOtherKey says that the ledger has another token-ID key by now: calls appended under the old
	// one would not share slots with those of the same token under the new one.
	ErrOtherKey = errors.New("the token-ID key in Redis was replaced while this process ran: start it again")
)

// Epoch is what a bucket's data says about itself (lua/epoch.lua). It is lost with the data.
type Epoch struct {
	Tag     string
	Missing bool      // the bucket has none: its data was lost
	Lost    time.Time // the data may lack what was written before then; zero: it lacks nothing
	Key     string    // fingerprint of the token-ID key; "" where nobody has said it
	Run     string    // run_id of the Redis process that was seen last; "" where nobody has said it
	Looks   int64     // how often somebody looked; falls where the data went back to an older state
}

// Found gives an epoch to every bucket that has none: for a Redis that is still empty. run returns the run_id of the Redis
// process that has a bucket, or "" if it is not known. Suppose that another process takes over with data that lacks every
// later write, even the start of the first worker: the run_id in the epoch is not its own, so it is seen to be another one.
func (l *Ledger) Found(ctx context.Context, run func(tag string) string) error {
	pipe := l.rdb.Pipeline()
	for _, tag := range AllTags() {
		pipe.HSetNX(ctx, l.EpochKey(tag), "e", 0)
		pipe.HSet(ctx, l.EpochKey(tag), "f", l.o.Fingerprint)
		if id := run(tag); id != "" {
			pipe.HSetNX(ctx, l.EpochKey(tag), "r", id)
		}
	}
	_, err := pipe.Exec(ctx)
	return err
}

// LookAt reads the epochs of buckets, and counts the look: with a *redisconn.UnreadError, of those that
// could be read.
func (l *Ledger) LookAt(ctx context.Context, tags []string) ([]Epoch, error) {
	return l.epochs(ctx, tags, func(string) []any { return []any{"look", "", "", ""} })
}

// Raise says that the data of buckets may lack what was written before lost, by the clock of Redis:
// nothing is granted there until one lease after it. It never lowers that time: a time before 1970
// leaves it as it is, and the zero time is now. run returns the run_id of the Redis process that has
// a bucket, or "" if it is not known.
func (l *Ledger) Raise(ctx context.Context, tags []string, lost time.Time, run func(tag string) string) error {
	at := ""
	if !lost.IsZero() {
		at = strconv.FormatInt(max(0, lost.UnixMilli()), 10)
	}
	_, err := l.epochs(ctx, tags, func(tag string) []any { return []any{"raise", at, l.o.Fingerprint, run(tag)} })
	return err
}

func (l *Ledger) epochs(ctx context.Context, tags []string, args func(tag string) []any) ([]Epoch, error) {
	steps := make([]redisconn.Execution, len(tags))
	for i, tag := range tags {
		steps[i] = redisconn.Execution{Keys: l.keys(tag), Args: args(tag)}
	}
	all := make([]Epoch, 0, len(tags))
	unread := unreadParts()
	replies, errs := l.runMany(ctx, l.epochScript, steps)
	for i, r := range replies {
		tag := tags[i]
		if errs[i] != nil {
			unread.Add(tag, errs[i])
			continue
		}
		lost := r.Int(1) // below 0: there is no epoch
		all = append(all, Epoch{Tag: tag, Missing: lost < 0, Lost: redisconn.Time(max(0, lost)), Key: r.Str(2), Run: r.Str(3), Looks: r.Int(4)})
	}
	if len(all) == 0 && len(tags) > 0 {
		return nil, unread.Cause
	}
	return all, unread.Of(Buckets)
}

// Shards returns a tag for each Redis process that holds the ledger: that of the first bucket that it has.
func (l *Ledger) Shards(ctx context.Context) (tags []string, err error) {
	seen := map[string]bool{}
	for _, tag := range AllTags() {
		addr, err := l.NodeOf(ctx, tag)
		if err != nil {
			return nil, err
		}
		if !seen[addr] {
			seen[addr] = true
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

// NodeOf returns the address of the Redis process that has a bucket; "" if there is no cluster.
func (l *Ledger) NodeOf(ctx context.Context, tag string) (string, error) {
	c, ok := l.rdb.(*redis.ClusterClient)
	if !ok {
		return "", nil
	}
	node, err := c.MasterForKey(ctx, l.EpochKey(tag))
	if err != nil {
		return "", err
	}
	return node.Options().Addr, nil
}

// EpochKey returns the key of a bucket's epoch.
func (l *Ledger) EpochKey(tag string) string { return l.bucket(tag) + "epoch" }
