package chain

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Pumped is what one pumping of a bucket did.
type Pumped struct {
	Fed     []Feed    // hand them to asynq
	Ready   int       // chains left in the ready list: Announce the bucket
	NextDue time.Time // when the bucket needs pumping again; zero: not by itself
	Now     time.Time // of Redis
	Lost    int       // calls whose worker was lost
}

// perPump is how many due chains one pump script moves on.
const perPump = 100

// Pump moves on what is due in a bucket and feeds up to feed of its ready chains. It
// may be called at any time by anybody: it finds what was lost by whom.
func (l *Ledger) Pump(ctx context.Context, tag string, feed int) (Pumped, error) {
	r, err := l.run(ctx, l.pump, tag, perPump, feed, l.maxAttempts)
	if err != nil {
		return Pumped{}, err
	}
	return Pumped{
		Now: r.time(0), NextDue: r.time(1), Ready: int(r.int(2)), Lost: int(r.int(3)), Fed: feeds(r, 4),
	}, nil
}

// Announce says that buckets have chains to be fed, so that a worker that waits in
// NextReady takes them up. It is a hint: Survey finds what was not announced. Buckets
// stand in the order in which they were announced first.
func (l *Ledger) Announce(ctx context.Context, now time.Time, tags ...string) error {
	if len(tags) == 0 {
		return nil
	}
	z := make([]redis.Z, len(tags))
	for i, tag := range tags {
		z[i] = redis.Z{Score: float64(now.UnixMilli()), Member: tag}
	}
	return l.rdb.ZAddNX(ctx, l.prefix+":announced", z...).Err()
}

// NextReady takes the bucket that was announced first, and waits for one up to
// timeout (whole seconds; 0 is forever). "" where none came.
func (l *Ledger) NextReady(ctx context.Context, timeout time.Duration) (string, error) {
	z, err := l.rdb.BZPopMin(ctx, timeout, l.prefix+":announced").Result()
	if err == redis.Nil {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	tag, _ := z.Member.(string)
	return tag, nil
}

// Announced returns how many buckets have chains that wait to be fed.
func (l *Ledger) Announced(ctx context.Context) (int, error) {
	n, err := l.rdb.ZCard(ctx, l.prefix+":announced").Result()
	return int(n), err
}

// Bucket is what Survey finds in one bucket.
type Bucket struct {
	Tag     string
	Ready   int
	Due     int // running, fed or waiting for a time
	Held    int
	Delayed int
	NextDue time.Time
}

// Survey looks at all buckets, changing nothing: those that hold any chain or
// scheduled call.
func (l *Ledger) Survey(ctx context.Context) ([]Bucket, error) {
	type counts struct {
		ready, due, held, delayed *redis.IntCmd
		nextDue, nextDelayed      *redis.ZSliceCmd
	}
	all := make([]counts, Buckets)
	pipe := l.rdb.Pipeline()
	for i := range all {
		p := l.bucket(TagAt(i))
		all[i] = counts{
			ready: pipe.ZCard(ctx, p+"ready"), due: pipe.ZCard(ctx, p+"due"),
			held: pipe.ZCard(ctx, p+"held"), delayed: pipe.ZCard(ctx, p+"delayed"),
			nextDue: pipe.ZRangeWithScores(ctx, p+"due", 0, 0), nextDelayed: pipe.ZRangeWithScores(ctx, p+"delayed", 0, 0),
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	var out []Bucket
	for i, c := range all {
		b := Bucket{
			Tag: TagAt(i), Ready: int(c.ready.Val()), Due: int(c.due.Val()),
			Held: int(c.held.Val()), Delayed: int(c.delayed.Val()),
		}
		for _, z := range append(c.nextDue.Val(), c.nextDelayed.Val()...) {
			if t := time.UnixMilli(int64(z.Score)); b.NextDue.IsZero() || t.Before(b.NextDue) {
				b.NextDue = t
			}
		}
		if b.Ready+b.Due+b.Held+b.Delayed > 0 {
			out = append(out, b)
		}
	}
	return out, nil
}
