package ledger

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// HeldSince is a chain that waits for a person, and since when.
type HeldSince struct {
	ID    string
	Since time.Time
}

// HeldIDs returns the chains of the buckets of tags that wait for a person, the one that
// waits longest first. It reads no chain: its cost is one command a bucket. With a *redisconn.UnreadError
// it returns those of the other buckets.
func (l *Ledger) HeldIDs(ctx context.Context, tags []string) ([]HeldSince, error) {
	var out []HeldSince
	unread := ask(ctx, l, tags, func(p redis.Pipeliner, bucket, _ string) *redis.ZSliceCmd {
		return p.ZRangeWithScores(ctx, bucket+"held", 0, -1)
	},
		func(_ int, cmd *redis.ZSliceCmd) {
			for _, z := range cmd.Val() {
				id, _ := z.Member.(string)
				out = append(out, HeldSince{id, time.UnixMilli(int64(z.Score))})
			}
		})
	slices.SortFunc(out, func(a, b HeldSince) int { return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.ID, b.ID)) })
	return out, unread.Of(Buckets)
}

// HeldOf reads held chains by their ids, in their order, a few hundred in a round trip. Those
// that wait for nobody any more are left out.
func (l *Ledger) HeldOf(ctx context.Context, ids []string) ([]Chain, error) {
	var out []Chain
	for part := range slices.Chunk(ids, 500) {
		chains, err := l.chains(ctx, part)
		if err != nil {
			return nil, err
		}
		for _, c := range chains {
			if c.State == chainStates["h"] {
				out = append(out, c)
			}
		}
	}
	return out, nil
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
