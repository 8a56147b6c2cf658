package ledger

import (
	"context"
	"habilita/internal/redisconn"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Position is where a scan of a batch's calls stands: in which bucket, and Redis's own
// cursor there (0: its begin).
type Position struct {
	Tag    string
	Cursor uint64
}

// Scanned is what one step of a scan found.
type Scanned struct {
	Calls []Call // by Field
	Next  uint64 // cursor of the bucket's next step; 0: it was the last one
}

// Field tells a call apart within its batch, and orders the calls of one step.
func (c Call) Field() string { return c.TokenID + c.Key }

// ScanCalls makes one step at each position, all in one round trip. A step has some 500
// calls, or fewer; a call that is there all the time is found by some step, and while its
// hash grows perhaps by two. With a *redisconn.UnreadError the steps in the buckets that it names found
// nothing, and all others are whole.
func (l *Ledger) ScanCalls(ctx context.Context, batch string, at []Position) ([]Scanned, error) {
	pipe := l.rdb.Pipeline()
	cmds := make([]*redis.ScanCmd, len(at))
	for i, p := range at {
		cmds[i] = pipe.HScan(ctx, l.bucket(p.Tag)+"calls:"+batch, p.Cursor, "", 500)
	}
	redisconn.Exec(ctx, pipe)
	out := make([]Scanned, len(at))
	unread := unreadParts()
	for i, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			unread.Add(at[i].Tag, err)
			continue
		}
		kv, next := cmd.Val()
		out[i].Next = next
		for j := 0; j+1 < len(kv); j += 2 {
			c, err := decode(batch, kv[j], kv[j+1])
			if err != nil {
				return nil, err
			}
			out[i].Calls = append(out[i].Calls, c)
		}
		slices.SortFunc(out[i].Calls, func(a, b Call) int { return strings.Compare(a.Field(), b.Field()) })
		out[i].Calls = slices.CompactFunc(out[i].Calls, func(a, b Call) bool { return a.Field() == b.Field() })
	}
	return out, unread.Of(Buckets)
}

// ChainByID returns a chain that has something to do; not ok: it is idle, or was never.
func (l *Ledger) ChainByID(ctx context.Context, id string) (c Chain, ok bool, err error) {
	chains, err := l.chains(ctx, []string{id})
	if err != nil || len(chains) == 0 {
		return c, false, err
	}
	return chains[0], true, nil
}

// Sample is what Sample finds.
type Sample struct {
	Chains    []Chain
	Scheduled []Scheduled
	Whole     bool // nothing was left out: it is all that the buckets have
}

// Sample reads the first chains of the buckets of tags, at most each of every list (held,
// ready, due), and as many scheduled calls. It takes two round trips, three where calls are
// scheduled, and at most some 16 commands for each of a bucket's chains, however many there are.
func (l *Ledger) Sample(ctx context.Context, tags []string, each int) (Sample, error) {
	out := Sample{Whole: true}
	if len(tags) == 0 || each < 1 {
		return out, nil
	}
	pipe := l.rdb.Pipeline()
	var lists []*redis.StringSliceCmd
	var delayed []*redis.ZSliceCmd
	for _, tag := range tags {
		for _, list := range []string{"held", "ready", "due"} {
			lists = append(lists, pipe.ZRange(ctx, l.bucket(tag)+list, 0, int64(each)-1))
		}
		delayed = append(delayed, pipe.ZRangeWithScores(ctx, l.bucket(tag)+"delayed", 0, int64(each)-1))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return Sample{}, err
	}
	var ids []string
	for _, cmd := range lists {
		ids = append(ids, cmd.Val()...)
		out.Whole = out.Whole && len(cmd.Val()) < each
	}
	var later []redis.Z
	for _, cmd := range delayed {
		later = append(later, cmd.Val()...)
		out.Whole = out.Whole && len(cmd.Val()) < each
	}
	slices.Sort(ids)
	ids = slices.Compact(ids) // one that moved from a list to another
	var err error
	if len(ids) > 0 {
		if out.Chains, err = l.chains(ctx, ids); err != nil {
			return Sample{}, err
		}
	}
	out.Scheduled, err = l.scheduled(ctx, later)
	return out, err
}
