package ledger

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
)

// Counts are the calls of a batch by state.
type Counts struct {
	Total, Succeeded, Failed, Skipped, Cancelled int
	Blocked                                      int // open calls behind a held head
	HeldChains                                   int
	Changed                                      time.Time // last change of a count
	// FirstDue is when the first call is due, if all were put off; zero: one was not.
	FirstDue time.Time
	// LastDue is the latest time to which any call was put off; zero: none was.
	LastDue time.Time
}

// Open is the number of calls that have no result yet.
func (c Counts) Open() int { return c.Total - c.Succeeded - c.Failed - c.Skipped - c.Cancelled }

// Settled reports whether nothing more happens without a person.
func (c Counts) Settled() bool { return c.Open() <= c.Blocked }

// Counts adds up the counts of a batch over the buckets of tags. Each bucket's are
// exact at the moment they are read. With a *redisconn.UnreadError they are those of the buckets that could
// be read, which say nothing about the batch as a whole.
func (l *Ledger) Counts(ctx context.Context, batch string, tags []string) (Counts, error) {
	sum, _, err := l.CountsAndLive(ctx, batch, tags)
	return sum, err
}

// CountsAndLive also returns which of the buckets have calls without a result, or held chains.
func (l *Ledger) CountsAndLive(ctx context.Context, batch string, tags []string) (sum Counts, live []string, _ error) {
	begun, f := false, countField
	unread := ask(ctx, l, tags, func(p redis.Pipeliner, bucket, _ string) *redis.SliceCmd {
		return p.HMGet(ctx, bucket+"counts:"+batch, f.Total, f.Succeeded, f.Failed, f.Skipped, f.Cancelled, f.Blocked, f.HeldChains,
			f.Changed, f.FirstDue, f.LastDue)
	}, func(at int, cmd *redis.SliceCmd) {
		v := cmd.Val()
		n := func(i int) int64 { s, _ := v[i].(string); return redisconn.Int(s) }
		first := redisconn.Time(n(8))
		begun = begun || n(0) > 0 && first.IsZero()
		sum.FirstDue = Earlier(sum.FirstDue, first)
		if last := redisconn.Time(n(9)); last.After(sum.LastDue) {
			sum.LastDue = last
		}
		for i, to := range []*int{&sum.Total, &sum.Succeeded, &sum.Failed, &sum.Skipped, &sum.Cancelled, &sum.Blocked, &sum.HeldChains} {
			*to += int(n(i))
		}
		if n(0) > n(1)+n(2)+n(3)+n(4) || n(6) > 0 {
			live = append(live, tags[at])
		}
		if at := redisconn.Time(n(7)); at.After(sum.Changed) {
			sum.Changed = at
		}
	})
	if begun {
		sum.FirstDue = time.Time{}
	}
	return sum, live, unread.Of(Buckets)
}

// CountsAmong returns the counts of some calls of a batch, named by Field, and of no others. All of
// them must have been appended. HeldChains counts the held chains in which one of them stands.
func (l *Ledger) CountsAmong(ctx context.Context, batch string, fields map[string]struct{}) (Counts, error) {
	tags := tagsOf(fields)
	counts, err := l.Counts(ctx, batch, tags)
	if err != nil || counts.Total == len(fields) {
		return counts, err
	}
	// Read the chains first: a call that is open when it is read later was not made when its chain was held.
	held := map[string]bool{}
	for _, tag := range tags {
		ids, err := l.chainIDs(ctx, tag, true)
		if err != nil {
			return Counts{}, err
		}
		for _, id := range ids {
			held[id] = true
		}
	}
	of := Counts{Total: len(fields), Changed: counts.Changed}
	stopped := map[string]bool{}
	for c, err := range l.Calls(ctx, batch, tags) {
		if err != nil {
			return Counts{}, err
		}
		if _, ok := fields[c.Field()]; !ok {
			continue
		}
		switch {
		case c.State == StateSucceeded:
			of.Succeeded++
		case c.State == StateFailed:
			of.Failed++
		case c.State == StateSkipped:
			of.Skipped++
		case c.State == StateCancelled:
			of.Cancelled++
		case held[c.Chain] && !c.scheduled:
			of.Blocked++
		}
		if held[c.Chain] {
			stopped[c.Chain] = true
		}
	}
	of.HeldChains = len(stopped)
	return of, nil
}

func tagsOf(fields map[string]struct{}) []string {
	tags := map[string]bool{}
	for f := range fields {
		tags[Tag(f)] = true
	}
	return slices.Sorted(maps.Keys(tags))
}
