package ledger

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

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
