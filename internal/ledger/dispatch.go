package ledger

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
)

// Dispatched is what one dispatch of a bucket did.
type Dispatched struct {
	Dispatches []Dispatch // hand them to asynq
	Ready      int        // chains left in the ready list: Signal the bucket
	NextDue    time.Time  // when the bucket needs a dispatch again; zero: not by itself
	Now        time.Time  // of Redis
	Lost       int        // calls whose worker was lost
}

const (
	// perScript is how many due chains one dispatch script moves on, and how many ready ones it dispatches.
	perScript = 100
	// perJoint is the most buckets that one script serves.
	perJoint = 16
)

// DispatchAll moves on what is due in buckets, and dispatches up to most of the ready chains of each, in one
// round trip. It returns one result for each tag, and the first error; a bucket whose script failed has a zero
// Now. One script serves as many buckets as it has time for; in a cluster, each bucket has its own. Any
// process may call it at any time: it finds what any process lost.
func (l *Ledger) DispatchAll(ctx context.Context, tags []string, most int) ([]Dispatched, error) {
	buckets := min(max(1, perScript/max(1, most)), perJoint, max(1, len(tags)))
	if _, several := l.rdb.(*redis.ClusterClient); several {
		buckets = 1
	}
	args := jointArgs([]any{perScript / buckets, most, l.o.MaxAttempts, l.o.Grace.Milliseconds()})
	pipe := l.rdb.Pipeline()
	var cmds []*redis.Cmd
	for some := range slices.Chunk(tags, buckets) {
		var keys []string
		for _, tag := range some {
			keys = append(keys, l.keys(tag)...)
		}
		cmds = append(cmds, pipe.EvalSha(ctx, l.dispatch().Hash(), keys, args...))
	}
	redisconn.Exec(ctx, pipe)
	out := make([]Dispatched, len(tags))
	var failed error
	for i, tag := range tags {
		all, err := answer(cmds[i/buckets])
		r := l.jointReply(all, i%buckets, 0)
		if r == nil && (err == nil || redis.HasErrorPrefix(err, "NOSCRIPT")) {
			r, err = l.runJoint(ctx, l.dispatch, tag, 0, args)
		}
		if err != nil {
			failed = cmp.Or(failed, err)
			continue
		}
		out[i] = Dispatched{
			Now: r.Time(0), NextDue: r.Time(1), Ready: int(r.Int(2)), Lost: int(r.Int(3)), Dispatches: dispatches(r, 4),
		}
	}
	return out, failed
}

// Briefly is the longest time-out with which NextReady waits no longer for an answer than any other command does.
// With a longer one go-redis waits 10 s more for it, even if the master hangs.
const Briefly = 400 * time.Millisecond

// Signal says that buckets have chains to be dispatched, so that a worker that waits in
// NextReady takes them up. It is a hint: Inspect finds what was not signalled. Buckets
// stand in the order in which they were signalled first.
func (l *Ledger) Signal(ctx context.Context, now time.Time, tags ...string) error {
	if len(tags) == 0 {
		return nil
	}
	args := []any{now.UnixMilli()}
	for _, tag := range tags {
		args = append(args, tag)
	}
	return l.signal().Run(ctx, l.rdb, []string{redisconn.SignalledKey(l.o.Prefix)}, args...).Err()
}

// NextReady takes the buckets that were signalled first, up to most of them. It waits up to
// timeout for one (0 is forever), and returns none if none came. If ctx ends it returns at once: the
// command that waits at Redis ends by itself, and a bucket that it still takes is signalled again.
func (l *Ledger) NextReady(ctx context.Context, timeout time.Duration, most int) ([]string, error) {
	type result struct {
		taken []redis.Z
		err   error
	}
	done := make(chan result, 1)
	go func() {
		taken, err := l.takeReady(context.WithoutCancel(ctx), timeout, most)
		done <- result{taken, err}
	}()
	select {
	case r := <-done:
		return bucketsOf(r.taken), r.err
	case <-ctx.Done():
		go func() {
			for _, z := range (<-done).taken { // to where they stood; the reconciler finds those that get lost here
				_ = l.Signal(context.WithoutCancel(ctx), time.UnixMilli(int64(z.Score)), bucketsOf([]redis.Z{z})...)
			}
		}()
		return nil, ctx.Err()
	}
}

func (l *Ledger) takeReady(ctx context.Context, timeout time.Duration, most int) ([]redis.Z, error) {
	key := redisconn.SignalledKey(l.o.Prefix)
	var pop *redis.ZWithKeyCmd
	if timeout > 0 && timeout <= Briefly {
		pop = redis.NewZWithKeyCmd(ctx, "bzpopmin", key, strconv.FormatFloat(timeout.Seconds(), 'f', 3, 64))
		_ = l.rdb.Process(ctx, pop) // the command has the error
	} else {
		pop = l.rdb.BZPopMin(ctx, timeout, key)
	}
	first, err := pop.Result()
	if err != nil {
		return nil, failure(nil, err)
	}
	taken := []redis.Z{first.Z}
	if most > 1 {
		// If this fails, only hints are lost: the reconciler finds the buckets.
		if more, err := l.rdb.ZPopMin(ctx, key, int64(most-1)).Result(); err == nil {
			taken = append(taken, more...)
		}
	}
	return taken, nil
}

// TaskReady stands among the signalled buckets for a task that its producer has enqueued in asynq, so that a worker that
// waits for a bucket learns of it.
const TaskReady = "task"

func bucketsOf(taken []redis.Z) []string {
	tags := make([]string, 0, len(taken))
	for _, z := range taken {
		if tag, ok := z.Member.(string); ok && (TagIndex(tag) >= 0 || tag == TaskReady) {
			tags = append(tags, tag)
		}
	}
	return tags
}

// Signalled returns how many buckets have chains that wait to be dispatched.
func (l *Ledger) Signalled(ctx context.Context) (int, error) {
	n, err := l.rdb.ZCard(ctx, redisconn.SignalledKey(l.o.Prefix)).Result()
	return int(n), err
}

// Bucket is what Inspect finds in one bucket.
type Bucket struct {
	Tag     string
	Ready   int
	Due     int // running, dispatched or waiting for a time
	Held    int
	Delayed int
	NextDue time.Time
	// Since is when the chain that waits longest in the ready list came there; zero: none is
	// ready. Chains that had nothing to do before have a head start of 5 s.
	Since time.Time
	// NextDelayed is when the first scheduled call is due; zero: none.
	NextDelayed time.Time
}

// Inspect returns the buckets that hold any chain or scheduled call, and changes nothing. If only a
// part of a Redis Cluster answers, it returns what that part has, and a *redisconn.UnreadError for
// the rest.
func (l *Ledger) Inspect(ctx context.Context) ([]Bucket, error) {
	var out []Bucket
	unread := ask(ctx, l, AllTags(), func(p redis.Pipeliner, bucket, _ string) bucketLists {
		return bucketLists{
			ready: p.ZCard(ctx, bucket+"ready"), due: p.ZCard(ctx, bucket+"due"),
			held: p.ZCard(ctx, bucket+"held"), delayed: p.ZCard(ctx, bucket+"delayed"),
			nextDue: p.ZRangeWithScores(ctx, bucket+"due", 0, 0), nextDelayed: p.ZRangeWithScores(ctx, bucket+"delayed", 0, 0),
			nextReady: p.ZRangeWithScores(ctx, bucket+"ready", 0, 0),
		}
	}, func(i int, c bucketLists) {
		b := Bucket{
			Tag: TagAt(i), Ready: int(c.ready.Val()), Due: int(c.due.Val()),
			Held: int(c.held.Val()), Delayed: int(c.delayed.Val()),
		}
		for _, z := range append(c.nextDue.Val(), c.nextDelayed.Val()...) {
			b.NextDue = Earlier(b.NextDue, time.UnixMilli(int64(z.Score)))
		}
		for _, z := range c.nextReady.Val() {
			b.Since = time.UnixMilli(int64(z.Score))
		}
		if z := c.nextDelayed.Val(); len(z) > 0 {
			b.NextDelayed = time.UnixMilli(int64(z[0].Score))
		}
		if b.Ready+b.Due+b.Held+b.Delayed > 0 {
			out = append(out, b)
		}
	})
	return out, unread.Of(Buckets)
}

// Total adds up buckets. Its times are the earliest of theirs.
func Total(buckets []Bucket) (sum Bucket) {
	for _, b := range buckets {
		sum.Ready += b.Ready
		sum.Due += b.Due
		sum.Held += b.Held
		sum.Delayed += b.Delayed
		sum.NextDue = Earlier(sum.NextDue, b.NextDue)
		sum.Since = Earlier(sum.Since, b.Since)
		sum.NextDelayed = Earlier(sum.NextDelayed, b.NextDelayed)
	}
	return sum
}

// Busy returns the tags of the buckets that have a chain that is not idle; with heldOnly, a held one. Its errors are
// those of Inspect.
func (l *Ledger) Busy(ctx context.Context, heldOnly bool) (tags []string, err error) {
	buckets, err := l.Inspect(ctx)
	for _, b := range buckets {
		if b.Held > 0 || !heldOnly && b.Ready+b.Due > 0 {
			tags = append(tags, b.Tag)
		}
	}
	return tags, err
}

// bucketLists are what Inspect asks of a bucket.
type bucketLists struct {
	ready, due, held, delayed       *redis.IntCmd
	nextDue, nextDelayed, nextReady *redis.ZSliceCmd
}

// Err returns the first error of them.
func (c bucketLists) Err() error {
	return cmp.Or(c.ready.Err(), c.due.Err(), c.held.Err(), c.delayed.Err(), c.nextDue.Err(), c.nextDelayed.Err(), c.nextReady.Err())
}
