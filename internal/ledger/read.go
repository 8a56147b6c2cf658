package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrNoCall says that the ledger has no call of that id.
var ErrNoCall = errors.New("no such call")

// State is the state of a call as users read it.
type State string

// The states of a call.
const (
	StateQueued    State = "queued"
	StateWaiting   State = "waiting" // back-off or deferral
	StateRunning   State = "running"
	StateSucceeded State = "succeeded"
	StateFailed    State = "failed"
	StateSkipped   State = "skipped"
	StateCancelled State = "cancelled"
)

var states = map[string]State{
	"q": StateQueued, "d": StateQueued, "w": StateWaiting, "r": StateRunning, "s": StateSucceeded,
	"f": StateFailed, "k": StateSkipped, "c": StateCancelled, "p": StateCancelled,
}

// Open reports whether a call in this state has no result yet.
func (s State) Open() bool { return s == StateQueued || s == StateWaiting || s == StateRunning }

// Call is a call and its result, as `enqueue report` gives it.
type Call struct {
	ID         string `json:"id"`
	Server     string `json:"server"`
	TokenID    string `json:"token_id"` // the HMAC name of the token, never the token
	Ref        string `json:"ref"`
	Chain      string `json:"chain"` // its id, as --chain takes it
	State      State  `json:"state"`
	Attempts   int    `json:"attempts"`
	Code       string `json:"code"`  // the vendor's, of the last attempt
	Msg        string `json:"msg"`   // the vendor's
	Error      string `json:"error"` // ours
	EnqueuedAt Time   `json:"enqueued_at"`
	StartedAt  Time   `json:"started_at"` // the first attempt's
	FinishedAt Time   `json:"finished_at"`
	Row        int    `json:"row"` // line of the file that first brought it; 0: none
	// Reason is the code of what went wrong at the last attempt, "" where nothing did: as of
	// the vendor's refusals (wolkvox.Kind), or ReasonUnknown and the others beside it.
	Reason string `json:"reason"`

	Batch string `json:"-"` // BatchID
	Key   string `json:"-"` // in its batch and token

	scheduled bool // not due yet
}

// Open reports whether the call has no result yet.
func (c Call) Open() bool { return c.State.Open() }

// Succeeded reports whether the vendor did it.
func (c Call) Succeeded() bool { return c.State == StateSucceeded }

func callOf(batch, token, key string) Call {
	return Call{ID: CallID(batch, token, key), Batch: batch, TokenID: token, Key: key}
}

func decode(batch, field, raw string) (Call, error) {
	if len(field) <= TokenLen {
		return Call{}, fmt.Errorf("ledger: a record of batch %s has the field %q", batch, field)
	}
	c := callOf(batch, field[:TokenLen], field[TokenLen:])
	var (
		state, chain                string
		enqueued, started, finished int64
	)
	// A record is a JSON array whose end may be absent: a waiting call has four elements.
	rec := [...]any{&state, &c.Server, &enqueued, (*rowAndRef)(&c), &chain, &c.Attempts, &started, &finished, &c.Code, &c.Msg, &c.Error, &c.Reason}
	if err := json.Unmarshal([]byte(raw), &rec); err != nil {
		return c, fmt.Errorf("ledger: record of call %s: %w", c.ID, err)
	}
	c.Chain, c.State, c.scheduled = ChainID(c.TokenID, chain), states[state], state == "d"
	c.EnqueuedAt, c.StartedAt, c.FinishedAt = Time{millis(enqueued)}, Time{millis(started)}, Time{millis(finished)}
	return c, nil
}

// rowAndRef reads a call's row and ref: a text, a number, or an array of both.
type rowAndRef Call

func (c *rowAndRef) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		return json.Unmarshal(b, &c.Ref)
	case '[':
		return json.Unmarshal(b, &[...]any{&c.Row, &c.Ref})
	}
	return json.Unmarshal(b, &c.Row)
}

// Call returns one call, or ErrNoCall.
func (l *Ledger) Call(ctx context.Context, batch, token, key string) (Call, error) {
	raw, err := l.rdb.HGet(ctx, l.bucket(Tag(token))+"calls:"+batch, token+key).Result()
	if errors.Is(err, redis.Nil) {
		return Call{}, fmt.Errorf("%w: %s", ErrNoCall, CallID(batch, token, key))
	}
	if err != nil {
		return Call{}, err
	}
	return decode(batch, token+key, raw)
}

// Sealed returns a token in its sealed form; "" where the ledger does not have it.
func (l *Ledger) Sealed(ctx context.Context, token string) (string, error) {
	v, err := l.rdb.HMGet(ctx, l.bucket(Tag(token))+"tokens", token).Result()
	if err != nil {
		return "", err
	}
	text, _ := v[0].(string)
	return sealedOf(text), nil
}

// Calls streams the calls of a batch in the buckets of tags, bucket by bucket, with
// constant memory. Calls that change meanwhile are seen before or after the change. An error is
// the last thing that is yielded: a *redisconn.UnreadError after the calls of the buckets that could be read.
func (l *Ledger) Calls(ctx context.Context, batch string, tags []string) iter.Seq2[Call, error] {
	return stream(ctx, l, tags, func(tag string, yield func(Call) bool) (bool, error) {
		for f, err := range l.fields(ctx, l.bucket(tag)+"calls:"+batch, "") {
			if err != nil {
				return true, err
			}
			c, err := decode(batch, f.field, f.value)
			if err != nil {
				return true, err
			}
			if !yield(c) {
				return false, nil
			}
		}
		return true, nil
	})
}

// Time is a point in time as outputs have it: RFC 3339 in UTC with milliseconds. The zero time
// is null in JSON and "" as text.
type Time struct{ time.Time }

// String is the time, or "".
func (t Time) String() string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// MarshalJSON is the time in quotes, or null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + t.String() + `"`), nil
}

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
// be read, which say nothing of the batch as a whole.
func (l *Ledger) Counts(ctx context.Context, batch string, tags []string) (Counts, error) {
	var sum Counts
	begun := false
	unread := ask(ctx, l, tags, func(p redis.Pipeliner, bucket, _ string) *redis.SliceCmd {
		return p.HMGet(ctx, bucket+"counts:"+batch, "t", "s", "f", "k", "c", "b", "g", "at", "e", "l")
	}, func(_ int, cmd *redis.SliceCmd) {
		v := cmd.Val()
		n := func(i int) int64 { s, _ := v[i].(string); return parseInt(s) }
		first := millis(n(8))
		begun = begun || n(0) > 0 && first.IsZero()
		if !first.IsZero() && (sum.FirstDue.IsZero() || first.Before(sum.FirstDue)) {
			sum.FirstDue = first
		}
		if last := millis(n(9)); last.After(sum.LastDue) {
			sum.LastDue = last
		}
		sum.Total += int(n(0))
		sum.Succeeded += int(n(1))
		sum.Failed += int(n(2))
		sum.Skipped += int(n(3))
		sum.Cancelled += int(n(4))
		sum.Blocked += int(n(5))
		sum.HeldChains += int(n(6))
		if at := millis(n(7)); at.After(sum.Changed) {
			sum.Changed = at
		}
	})
	if begun {
		sum.FirstDue = time.Time{}
	}
	return sum, unread.Of(Buckets)
}

// Chain is a chain that has something to do, for people.
type Chain struct {
	ID     string
	State  string // ready, dispatched, running, waiting, held
	Reason string // slots, quota, cooling: why, midnight, restart, back-off, push-back, held
	Since  time.Time
	Until  time.Time // zero: until a person decides, or at once
	Head   Call
	Behind int // calls behind the head
}

var chainStates = map[string]string{"r": "ready", "f": "dispatched", "x": "running", "w": "waiting", "l": "waiting", "h": "held"}

// Chains streams the chains of the buckets of tags that are not idle: the held ones
// alone, or all. An error is the last thing that is yielded: a *redisconn.UnreadError after the chains of
// the buckets that could be read.
func (l *Ledger) Chains(ctx context.Context, tags []string, heldOnly bool) iter.Seq2[Chain, error] {
	return l.ChainsAfter(ctx, tags, "", heldOnly)
}

// ChainsAfter is Chains in the order of ids, of each bucket, after the id "after".
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
				if (!heldOnly || c.State == chainStates["h"]) && !yield(c) {
					return false, nil
				}
			}
		}
		return true, nil
	})
}

func (l *Ledger) chainIDs(ctx context.Context, tag string, heldOnly bool) ([]string, error) {
	lists := []string{"held"}
	if !heldOnly {
		lists = []string{"held", "ready", "due"}
	}
	pipe := l.rdb.TxPipeline() // at one moment: a chain moves from one list to another
	var cmds []*redis.StringSliceCmd
	for _, list := range lists {
		cmds = append(cmds, pipe.ZRange(ctx, l.bucket(tag)+list, 0, -1))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	var ids []string
	for _, cmd := range cmds {
		ids = append(ids, cmd.Val()...)
	}
	return ids, nil
}

// openBehind is how many open calls stand behind the head of a chain. Its queue has references of
// calls that were cancelled, too.
func openBehind(fields map[string]string) (n int) {
	for name, v := range fields {
		if strings.HasPrefix(name, "o:") {
			n += int(parseInt(v))
		}
	}
	if fields["s"] != "h" { // a held head has ended
		n--
	}
	return max(n, 0)
}

// chains reads chains and their heads; what went idle meanwhile is left out.
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
	heads := l.rdb.Pipeline()
	var out []Chain
	var cmds []*redis.StringCmd
	for i, id := range ids {
		v := fields[i].Val()
		batch, key, ok := strings.Cut(v["h"], " ")
		if v["s"] == "" || !ok {
			continue
		}
		c := Chain{
			ID: id, State: chainStates[v["s"]], Reason: v["y"], Until: millis(parseInt(v["u"])),
			Since: millis(parseInt(v["z"])), Behind: openBehind(v),
		}
		switch s := v["s"]; {
		case s == "f" && c.Reason == ServerBusy:
			c.State = chainStates["w"]
		case s == "r" || s == "f" || s == "x":
			c.Reason, c.Until = "", time.Time{} // what it waited for last
		}
		if ms := since[i].Val(); ms > 0 {
			c.Since = time.UnixMilli(int64(ms))
		}
		token, _ := SplitChainID(id)
		key, _, _ = strings.Cut(key, " ") // how often the call was new again
		c.Head = callOf(batch, token, key)
		c.Head.Chain = id
		out = append(out, c)
		cmds = append(cmds, heads.HGet(ctx, l.bucket(Tag(id))+"calls:"+batch, token+key))
	}
	if len(cmds) == 0 {
		return nil, nil
	}
	if err := failure(heads.Exec(ctx)); err != nil {
		return nil, err
	}
	for i := range out {
		if head, err := decode(out[i].Head.Batch, out[i].Head.TokenID+out[i].Head.Key, cmds[i].Val()); err == nil {
			out[i].Head = head
		}
	}
	return out, nil
}

// CountsAmong are the counts of some calls of a batch, by Field, and of no other that came
// to it. All must have been appended. HeldChains counts those that one of them stands in.
func (l *Ledger) CountsAmong(ctx context.Context, batch string, fields map[string]struct{}) (Counts, error) {
	tags := tagsOf(fields)
	counts, err := l.Counts(ctx, batch, tags)
	if err != nil || counts.Total == len(fields) {
		return counts, err
	}
	// The chains first: a call that is read as open later was not made when its chain was held.
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
	var tags []string
	seen := map[string]bool{}
	for f := range fields {
		if tag := Tag(f); !seen[tag] {
			seen[tag] = true
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}
