package ledger

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Oldest returns the chains of the buckets of tags that wait for a person, up to most of them, the one that
// waits longest first; cut says that there are more. Its cost is one command a bucket, and some for each chain that it
// returns. With a *redisconn.UnreadError these are the chains of the other buckets.
func (l *Ledger) Oldest(ctx context.Context, tags []string, most int) (held []Chain, cut bool, err error) {
	var found []redis.Z
	unread := ask(ctx, l, tags, func(p redis.Pipeliner, bucket, _ string) *redis.ZSliceCmd {
		return p.ZRangeWithScores(ctx, bucket+"held", 0, -1)
	}, func(_ int, cmd *redis.ZSliceCmd) { found = append(found, cmd.Val()...) })
	id := func(z redis.Z) string { id, _ := z.Member.(string); return id }
	slices.SortFunc(found, func(a, b redis.Z) int { return cmp.Or(cmp.Compare(a.Score, b.Score), strings.Compare(id(a), id(b))) })
	if cut = len(found) > most; cut {
		found = found[:most]
	}
	for part := range slices.Chunk(found, 500) {
		ids := make([]string, len(part))
		for i, z := range part {
			ids[i] = id(z)
		}
		chains, err := l.chains(ctx, ids)
		if err != nil {
			return nil, false, err
		}
		for _, c := range chains {
			if c.State == chainStates["h"] { // not one that was decided about since
				held = append(held, c)
			}
		}
	}
	return held, cut, unread.Of(Buckets)
}

// WaitersOf counts, for each of these tokens, the chains that wait for it: for a slot, for
// its quota or for the end of its cool-down. It reads the waiting chains of the tokens'
// buckets: a thousand in a round trip. With a *redisconn.UnreadError it returns what the other buckets have.
func (l *Ledger) WaitersOf(ctx context.Context, tokens []string) (map[string]int, error) {
	wanted := map[string]struct{}{}
	for _, t := range tokens {
		wanted[t] = struct{}{}
	}
	var ids []string
	unread := ask(ctx, l, tagsOf(wanted), func(p redis.Pipeliner, bucket, _ string) *redis.StringSliceCmd {
		return p.ZRange(ctx, bucket+"due", 0, -1)
	},
		func(_ int, cmd *redis.StringSliceCmd) {
			for _, id := range cmd.Val() {
				token, _ := SplitChainID(id)
				if _, ok := wanted[token]; ok {
					ids = append(ids, id)
				}
			}
		})
	out := map[string]int{}
	for part := range slices.Chunk(ids, 1000) {
		more := ask(ctx, l, part, func(p redis.Pipeliner, bucket, id string) *redis.SliceCmd {
			return p.HMGet(ctx, bucket+"chain:"+id, "s", "y")
		},
			func(i int, cmd *redis.SliceCmd) {
				v := cmd.Val()
				state, _ := v[0].(string)
				why, _ := v[1].(string)
				why, _, _ = strings.Cut(why, ": ")
				if state == "l" || state == "w" && waitsForToken[why] {
					token, _ := SplitChainID(part[i])
					out[token]++
				}
			})
		for _, tag := range more.Names {
			unread.Add(tag, more.Cause)
		}
	}
	return out, unread.Of(Buckets)
}

// waitsForToken are the reasons of a wait for a token, as against one for its own call.
var waitsForToken = map[string]bool{"slots": true, "quota": true, "cooling": true}
