package ledger

import (
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
// waits longest first. It reads no chain: its cost is one command a bucket. With an *UnreadError
// it returns those of the other buckets.
func (l *Ledger) HeldIDs(ctx context.Context, tags []string) ([]HeldSince, error) {
	if len(tags) == 0 {
		return nil, nil
	}
	pipe := l.rdb.Pipeline()
	cmds := make([]*redis.ZSliceCmd, len(tags))
	for i, tag := range tags {
		cmds[i] = pipe.ZRangeWithScores(ctx, l.bucket(tag)+"held", 0, -1)
	}
	tell(pipe.Exec(ctx)) // each command's own error is looked at below
	var out []HeldSince
	unread := &UnreadError{}
	for i, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			unread.add(tags[i], err)
		}
		for _, z := range cmd.Val() {
			id, _ := z.Member.(string)
			out = append(out, HeldSince{id, time.UnixMilli(int64(z.Score))})
		}
	}
	slices.SortFunc(out, func(a, b HeldSince) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, unread.orNil()
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
// buckets: a thousand in a round trip. With an *UnreadError it returns what the other buckets have.
func (l *Ledger) WaitersOf(ctx context.Context, tokens []string) (map[string]int, error) {
	wanted, tags := map[string]bool{}, map[string]*redis.StringSliceCmd{}
	pipe := l.rdb.Pipeline()
	for _, t := range tokens {
		wanted[t] = true
		if tag := Tag(t); tags[tag] == nil {
			tags[tag] = pipe.ZRange(ctx, l.bucket(tag)+"due", 0, -1)
		}
	}
	out := map[string]int{}
	if len(tags) == 0 {
		return out, nil
	}
	tell(pipe.Exec(ctx)) // each command's own error is looked at below
	var ids []string
	unread := &UnreadError{}
	for tag, cmd := range tags {
		if err := cmd.Err(); err != nil {
			unread.add(tag, err)
		}
		for _, id := range cmd.Val() {
			if token, _ := SplitChainID(id); wanted[token] {
				ids = append(ids, id)
			}
		}
	}
	for part := range slices.Chunk(ids, 1000) {
		pipe := l.rdb.Pipeline()
		cmds := make([]*redis.SliceCmd, len(part))
		for i, id := range part {
			cmds[i] = pipe.HMGet(ctx, l.bucket(Tag(id))+"chain:"+id, "s", "y")
		}
		tell(pipe.Exec(ctx))
		for i, id := range part {
			if err := cmds[i].Err(); err != nil {
				if tag := Tag(id); !slices.Contains(unread.Tags, tag) {
					unread.add(tag, err)
				}
				continue
			}
			v := cmds[i].Val()
			state, _ := v[0].(string)
			why, _ := v[1].(string)
			why, _, _ = strings.Cut(why, ": ")
			if state == "l" || state == "w" && waitsForToken[why] {
				token, _ := SplitChainID(id)
				out[token]++
			}
		}
	}
	return out, unread.orNil()
}

// waitsForToken are the reasons of a wait for a token, as against one for its own call.
var waitsForToken = map[string]bool{"slots": true, "quota": true, "cooling": true}
