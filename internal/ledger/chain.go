package ledger

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
)

// Chain describes a chain that has something to do, for people.
type Chain struct {
	ID     string
	State  string // ready, dispatched, running, waiting, held
	Reason string // slots, quota, cooling: why, midnight, restart, back-off, push-back, held
	Since  time.Time
	Until  time.Time // zero: until a person decides, or at once
	Head   Call
	Behind int // calls behind the head
}

// chainStates are the states as people read them.
var chainStates = map[string]string{
	chainState.Ready: "ready", chainState.Dispatched: "dispatched", chainState.Running: "running",
	chainState.Waiting: "waiting", chainState.WaitingForSlot: "waiting", chainState.Held: "held",
}

// Chains streams the chains of the buckets of tags that are not idle: all, or with heldOnly the held
// ones. An error comes last: a *redisconn.UnreadError after the chains of the buckets that could be
// read.
func (l *Ledger) Chains(ctx context.Context, tags []string, heldOnly bool) iter.Seq2[Chain, error] {
	return l.ChainsAfter(ctx, tags, "", heldOnly)
}

// ChainsAfter is Chains with the chains of each bucket in the order of their ids: those after the id "after".
func (l *Ledger) ChainsAfter(ctx context.Context, tags []string, after string, heldOnly bool) iter.Seq2[Chain, error] {
	return stream(ctx, l, tags, func(tag string, yield func(Chain) bool) (bool, error) {
		ids, err := l.chainIDs(ctx, tag, heldOnly)
		if err != nil {
			return true, err
		}
		slices.Sort(ids)
		from, found := slices.BinarySearch(ids, after)
		if found {
			from++
		}
		for part := range slices.Chunk(slices.Compact(ids[from:]), 200) {
			chains, err := l.chains(ctx, part)
			if err != nil {
				return true, err
			}
			for _, c := range chains {
				if (!heldOnly || c.State == chainStates[chainState.Held]) && !yield(c) {
					return false, nil
				}
			}
		}
		return true, nil
	})
}

func (l *Ledger) chainIDs(ctx context.Context, tag string, heldOnly bool) ([]string, error) {
	lists := []any{"held"}
	if !heldOnly {
		lists = []any{"held", "ready", "due"}
	}
	return l.chainsOn().Run(ctx, l.rdb, l.keys(tag), lists...).StringSlice()
}

// openBehind returns how many open calls stand behind the head of a chain. It does not count the
// chain's queue, which also has references of cancelled calls.
func openBehind(fields map[string]string) (n int) {
	for name, v := range fields {
		if strings.HasPrefix(name, chainField.OpenOf) {
			n += int(redisconn.Int(v))
		}
	}
	if fields[chainField.State] != chainState.Held { // a held head has ended
		n--
	}
	return max(n, 0)
}

// chains reads chains and their heads. It leaves out chains that went idle meanwhile.
func (l *Ledger) chains(ctx context.Context, ids []string) ([]Chain, error) {
	ids = slices.DeleteFunc(ids, func(id string) bool { return strings.HasPrefix(id, "!") }) // recalls, among what is due
	pipe := l.rdb.Pipeline()
	fields := make([]*redis.MapStringStringCmd, len(ids))
	since := make([]*redis.FloatCmd, len(ids))
	for i, id := range ids {
		p := l.bucket(Tag(id))
		fields[i] = pipe.HGetAll(ctx, p+"chain:"+id)
		since[i] = pipe.ZScore(ctx, p+"held", id)
	}
	if err := failure(pipe.Exec(ctx)); err != nil {
		return nil, err
	}
	var out []Chain
	var heads []Call
	for i, id := range ids {
		v := fields[i].Val()
		state := v[chainField.State]
		batch, key, ok := strings.Cut(v[chainField.Head], " ")
		if state == "" || !ok {
			continue
		}
		c := Chain{
			ID: id, State: chainStates[state], Reason: v[chainField.Reason], Behind: openBehind(v),
			Until: redisconn.Time(redisconn.Int(v[chainField.WaitsUntil])), Since: redisconn.Time(redisconn.Int(v[chainField.WaiterSince])),
		}
		switch s := chainState; {
		case state == s.Dispatched && c.Reason == ServerBusy:
			c.State = chainStates[chainState.Waiting]
		case state == s.Ready || state == s.Dispatched || state == s.Running:
			c.Reason, c.Until = "", time.Time{} // what it waited for last
		}
		if ms := since[i].Val(); ms > 0 {
			c.Since = time.UnixMilli(int64(ms))
		}
		token, _ := SplitChainID(id)
		key, _, _ = strings.Cut(key, " ") // how often the call was new again
		c.Head = callOf(batch, token, key)
		c.Head.Chain = id
		out, heads = append(out, c), append(heads, c.Head)
	}
	heads, err := l.records(ctx, heads)
	for i := range heads {
		out[i].Head = heads[i]
	}
	return out, err
}

// records fills in calls that have only Batch, TokenID and Key. A call that can't be read stays as it is.
func (l *Ledger) records(ctx context.Context, calls []Call) ([]Call, error) {
	if len(calls) == 0 {
		return nil, nil
	}
	pipe := l.rdb.Pipeline()
	cmds := make([]*redis.StringCmd, len(calls))
	for i, c := range calls {
		cmds[i] = pipe.HGet(ctx, l.bucket(Tag(c.TokenID))+"calls:"+c.Batch, c.Field())
	}
	if err := failure(pipe.Exec(ctx)); err != nil {
		return nil, err
	}
	for i, c := range calls {
		if read, err := decode(c.Batch, c.Field(), cmds[i].Val()); err == nil {
			calls[i] = read
		}
	}
	return calls, nil
}

// Oldest returns up to most chains of the buckets of tags that wait for a person, the one that waits longest first;
// cut says that there are more. It costs one command a bucket, and a few for each chain that it returns. With a
// *redisconn.UnreadError these are the chains of the other buckets.
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
			if c.State == chainStates[chainState.Held] { // not one that was decided about since
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
			return p.HMGet(ctx, bucket+"chain:"+id, chainField.State, chainField.Reason)
		},
			func(i int, cmd *redis.SliceCmd) {
				v := cmd.Val()
				state, _ := v[0].(string)
				why, _ := v[1].(string)
				why, _, _ = strings.Cut(why, ": ")
				if state == chainState.WaitingForSlot || state == chainState.Waiting && waitsForToken[why] {
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

// RecallQuota makes all chains that wait for their token's quota look again: it may be higher now. Their buckets are due
// then, as Inspect tells. If it can't read all of them, it does nothing.
func (l *Ledger) RecallQuota(ctx context.Context, now time.Time) error {
	wait := map[string]struct{}{}
	for c, err := range l.Chains(ctx, AllTags(), false) {
		if err != nil {
			return err
		}
		if token, _ := SplitChainID(c.ID); c.Reason == "quota" {
			wait[token] = struct{}{}
		}
	}
	at := float64(now.UnixMilli())
	for tokens := range slices.Chunk(slices.Sorted(maps.Keys(wait)), 1000) {
		unread := ask(ctx, l, tokens, func(p redis.Pipeliner, bucket, token string) *redis.IntCmd {
			return p.ZAdd(ctx, bucket+"due", redis.Z{Score: at, Member: fmt.Sprintf("!%.0f quota %s", at, token)}) // recall in base.lua
		}, func(int, *redis.IntCmd) {})
		if err := unread.Of(Buckets); err != nil {
			return err
		}
	}
	return nil
}

// waitsForToken are the reasons for which a chain waits for its token, not for its own call.
var waitsForToken = map[string]bool{"slots": true, "quota": true, "cooling": true}

// Position is where a scan of a batch's calls stands: in which bucket, and Redis's own
// cursor there (0: the beginning).
type Position struct {
	Tag    string
	Cursor uint64
}

// Scanned is what one step of a scan found.
type Scanned struct {
	Calls []Call // by Field
	Next  uint64 // cursor of the bucket's next step; 0: it was the last one
}

// Field returns what identifies a call within its batch, and orders the calls of one step.
func (c Call) Field() string { return c.TokenID + c.Key }

// ScanCalls makes one step at each position, all in one round trip. A step has about 500 calls,
// or fewer. Some step finds a call that is there all the time; while its hash grows, perhaps two
// steps do. With a *redisconn.UnreadError the steps in the buckets that it names found nothing, and
// all others are whole.
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

// ChainByID returns a chain that has something to do; not ok: it is idle, or never existed.
func (l *Ledger) ChainByID(ctx context.Context, id string) (c Chain, ok bool, err error) {
	chains, err := l.chains(ctx, []string{id})
	if err != nil || len(chains) == 0 {
		return c, false, err
	}
	return chains[0], true, nil
}

// Sample is what Ledger.Sample finds.
type Sample struct {
	Chains    []Chain
	Scheduled []Scheduled
	Whole     bool // nothing was left out: it is all that the buckets have
}

// Sample reads the first chains of the buckets of tags, at most each of every list (held,
// ready, due), and as many scheduled calls. It takes two round trips, three if calls are
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
	if out.Chains, err = l.chains(ctx, ids); err != nil {
		return Sample{}, err
	}
	out.Scheduled, err = l.scheduled(ctx, later)
	return out, err
}
