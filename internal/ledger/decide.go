package ledger

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
)

// Decision is what a person does with a held chain.
type Decision string

// The decisions on a held head. To cancel, see CancelChains and CancelBatch.
const (
	DecisionRetry Decision = "retry" // again, with a new budget of attempts
	DecisionSkip  Decision = "skip"  // leave it, go on with the next call
)

// Meant limits decisions to some held heads. The zero value means all.
type Meant struct {
	Batch  string // BatchID of the head's batch; "" any
	Server string // of the head; "" any
}

// abreast is how many scripts of one command travel to Redis together. Each is a slice
// below 5 ms, and Redis serves others between them.
const abreast = 64

// Decide acts on held chains and returns how many it changed, also with an error. It leaves alone those that are not
// held or not meant. The counts show what it did when Decide returns.
func (l *Ledger) Decide(ctx context.Context, ids []string, d Decision, m Meant) (int, error) {
	return l.ofChains(ctx, l.decide, ids, func(id string) []any { return []any{id, string(d), m.Batch, m.Server} },
		func(r reply) (left, ready bool) { return false, r.Int(2) > 0 })
}

// CancelChains cancels all calls of chains except those that run, and returns how many. heldOnly
// limits it to held chains, and m to chains whose head is meant. Scheduled calls are of no chain
// yet: see CancelScheduled.
func (l *Ledger) CancelChains(ctx context.Context, ids []string, m Meant, heldOnly bool) (int, error) {
	return l.ofChains(ctx, l.cancelChain, ids,
		func(id string) []any {
			return append([]any{id, m.Server, heldOnly, m.Batch}, l.o.Admission.Args()...)
		},
		func(r reply) (left, ready bool) { return r.Int(2) != 0, r.Int(3) != 0 })
}

// ofChains executes a decision's script for chains, many in a round trip, and again for those that it left
// unfinished. It adds up what the script did, and signals the buckets that have ready chains.
func (l *Ledger) ofChains(ctx context.Context, s script, ids []string, args func(id string) []any, read func(reply) (left, ready bool)) (int, error) {
	total := 0
	ids = slices.Clone(ids)
	for len(ids) > 0 {
		part := ids[:min(len(ids), abreast)]
		steps := make([]redisconn.Execution, len(part))
		for i, id := range part {
			steps[i] = redisconn.Execution{Keys: l.keysOnce(Tag(id)), Args: args(id)}
		}
		replies, errs := l.runMany(ctx, s, steps)
		var again []string
		signals := map[string]time.Time{}
		for i, r := range replies {
			total += int(r.Int(1))
			left, ready := read(r)
			if left {
				again = append(again, part[i])
			}
			if ready {
				signals[Tag(part[i])] = r.Time(0)
			}
		}
		l.signalAll(ctx, signals)
		if err := errors.Join(errs...); err != nil {
			return total, err
		}
		ids = append(again, ids[len(part):]...)
	}
	return total, nil
}

// CancelBatch cancels the calls of a batch in the buckets of tags, except those that run, and lets
// no later ones in. It returns how many calls were cancelled: with a *redisconn.UnreadError, those
// of the buckets that could be read.
func (l *Ledger) CancelBatch(ctx context.Context, batch string, tags []string) (int, error) {
	type place struct{ tag, cursor string }
	var left []place
	up, unread := l.readable(ctx, tags)
	for _, tag := range up {
		left = append(left, place{tag, "0"})
	}
	total, failed := 0, 0
	for len(left) > 0 {
		part := left[:min(len(left), abreast)]
		steps := make([]redisconn.Execution, len(part))
		for i, p := range part {
			steps[i] = redisconn.Execution{Keys: l.keysOnce(p.tag), Args: append([]any{batch, p.cursor}, l.o.Admission.Args()...)}
		}
		replies, errs := l.runMany(ctx, l.cancelBatch, steps)
		ready := map[string]time.Time{}
		var more []place
		for i, r := range replies {
			if errs[i] != nil {
				unread.Add(part[i].tag, errs[i])
				failed++
				continue
			}
			total += int(r.Int(2))
			if r.Int(3) > 0 {
				ready[part[i].tag] = r.Time(0)
			}
			if r.Str(1) != "0" {
				more = append(more, place{part[i].tag, r.Str(1)})
			}
		}
		l.signalAll(ctx, ready)
		if failed >= mostFailures || ctx.Err() != nil {
			return total, cmp.Or(errors.Join(errs...), ctx.Err())
		}
		left = append(more, left[len(part):]...)
	}
	return total, unread.Of(Buckets)
}

// Pruned says which calls Prune may cancel.
type Pruned string

// What Prune may cancel.
const (
	FromFile  Pruned = "f" // calls that a file brought (Call.Row)
	NeverSent Pruned = "u" // calls of which no request was sent
)

// perPrune is how many calls one script cancels.
const perPrune = 100

// Prune cancels calls of a batch, named by Field, which must be of one bucket: those that wait, and
// held heads, whose chains go on. Such a call is new if it comes again. A call that runs, or has
// ended, is left alone. Prune returns how many it cancelled.
func (l *Ledger) Prune(ctx context.Context, batch string, which Pruned, fields []string) (int, error) {
	total := 0
	for part := range slices.Chunk(fields, perPrune) {
		args := append([]any{batch, string(which)}, l.o.Admission.Args()...)
		for _, f := range part {
			args = append(args, f)
		}
		r, err := l.runOnce(ctx, l.cancelBatch, Tag(part[0]), args...)
		if err != nil {
			return total, err
		}
		total += int(r.Int(2))
		if r.Int(3) > 0 {
			l.signalAll(ctx, map[string]time.Time{Tag(part[0]): r.Time(0)})
		}
	}
	return total, nil
}

// Reopen lets a batch that was cancelled take calls again, in the buckets of tags: with a
// *redisconn.UnreadError, in those that could be reached.
func (l *Ledger) Reopen(ctx context.Context, batch string, tags []string) error {
	return ask(ctx, l, tags, func(p redis.Pipeliner, bucket, _ string) *redis.IntCmd {
		return p.HDel(ctx, bucket+"counts:"+batch, countField.BatchCancelled)
	}, func(int, *redis.IntCmd) {}).Of(Buckets)
}

// runOnce executes a decision's script, which answers the same if it is sent again.
func (l *Ledger) runOnce(ctx context.Context, s script, tag string, args ...any) (reply, error) {
	return l.read(s().Run(ctx, l.rdb, l.keysOnce(tag), args...))
}

// runMany executes a script several times in one round trip, in the order given if they are of one bucket.
// It returns a reply and an error for each, as read does.
func (l *Ledger) runMany(ctx context.Context, s script, steps []redisconn.Execution) ([]reply, []error) {
	out, errs := make([]reply, len(steps)), make([]error, len(steps))
	if len(steps) == 1 { // a single one is tried again where the connection breaks
		out[0], errs[0] = l.read(s().Run(ctx, l.rdb, steps[0].Keys, steps[0].Args...))
		return out, errs
	}
	for i, cmd := range s.RunAll(ctx, l.rdb, steps) {
		out[i], errs[i] = l.read(cmd)
	}
	return out, errs
}

// signalAll signals buckets, with the latest time of their scripts. It ignores an error, since the
// decision stands: the list of signalled buckets may be on a cluster node that is away, and the
// reconciler finds what is not in the list.
func (l *Ledger) signalAll(ctx context.Context, ready map[string]time.Time) {
	var last time.Time
	for _, at := range ready {
		if at.After(last) {
			last = at
		}
	}
	_ = l.Signal(ctx, last, slices.Sorted(maps.Keys(ready))...)
}
