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

	"habilita/internal/redisconn"
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
	// Reason is the code of what went wrong at the last attempt: one of the vendor's refusals
	// (wolkvox.Kind), or ReasonUnknown or another code beside it. "": nothing went wrong.
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
	c.EnqueuedAt, c.StartedAt, c.FinishedAt = Time{redisconn.Time(enqueued)}, Time{redisconn.Time(started)}, Time{redisconn.Time(finished)}
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

// Sealed returns a token in its sealed form; "" if the ledger does not have it.
func (l *Ledger) Sealed(ctx context.Context, token string) (string, error) {
	v, err := l.rdb.HMGet(ctx, l.bucket(Tag(token))+"tokens", token).Result()
	if err != nil {
		return "", err
	}
	text, _ := v[0].(string)
	return sealedOf(text), nil
}

// Calls streams the calls of a batch in the buckets of tags, bucket by bucket, with
// constant memory. Calls that change meanwhile are seen before or after the change. An error comes
// last: a *redisconn.UnreadError after the calls of the buckets that could be read.
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

// Time is a point in time as outputs show it: RFC 3339 in UTC with milliseconds. The zero time
// is null in JSON and "" as text.
type Time struct{ time.Time }

// Earlier returns the earlier of two times. A zero time is none.
func Earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// String returns the time, or "".
func (t Time) String() string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// MarshalJSON returns the time in quotes, or null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + t.String() + `"`), nil
}

// Scheduled is a call that is not due yet: it belongs to no chain, and blocks nothing.
type Scheduled struct {
	Call
	DueAt Time `json:"due_at"` // when it joins the end of its chain
}

// perPage is how many scheduled calls are read at a time.
const perPage = 500

// Scheduled streams the scheduled calls of the buckets of tags, bucket by bucket, the latest first
// in each. A call that becomes due meanwhile may still be yielded; a call that is cancelled meanwhile
// may hide another. An error comes last: a *redisconn.UnreadError after the calls of the buckets that
// could be read.
func (l *Ledger) Scheduled(ctx context.Context, tags []string) iter.Seq2[Scheduled, error] {
	return stream(ctx, l, tags, func(tag string, yield func(Scheduled) bool) (bool, error) {
		// From the end, since calls that become due leave at the beginning.
		for from := int64(0); ; from += perPage {
			page, err := l.rdb.ZRevRangeWithScores(ctx, l.bucket(tag)+"delayed", from, from+perPage-1).Result()
			var calls []Scheduled
			if err == nil {
				calls, err = l.scheduled(ctx, page)
			}
			if err != nil {
				return true, err
			}
			for _, c := range calls {
				if !yield(c) {
					return false, nil
				}
			}
			if len(page) < perPage {
				return true, nil
			}
		}
	})
}

func (l *Ledger) scheduled(ctx context.Context, page []redis.Z) ([]Scheduled, error) {
	calls := make([]Call, len(page))
	for i, z := range page {
		text, _ := z.Member.(string)
		token, rest, _ := strings.Cut(text, " ")
		batch, key, _ := strings.Cut(rest, " ")
		calls[i] = callOf(batch, token, key)
	}
	calls, err := l.records(ctx, calls)
	if err != nil {
		return nil, err
	}
	out := make([]Scheduled, 0, len(page))
	for i, c := range calls {
		if c.scheduled { // not one that is due, or was taken out, since the page was read
			out = append(out, Scheduled{c, Time{time.UnixMilli(int64(page[i].Score))}})
		}
	}
	return out, nil
}

// Due returns when a call joins its chain; zero if it is not scheduled, or has joined already.
func (l *Ledger) Due(ctx context.Context, batch, token, key string) (time.Time, error) {
	ms, err := l.rdb.ZScore(ctx, l.bucket(Tag(token))+"delayed", token+" "+batch+" "+key).Result()
	if err != nil {
		return time.Time{}, failure(nil, err)
	}
	return time.UnixMilli(int64(ms)), nil
}

// CancelScheduled cancels the scheduled calls that would join a chain, and returns how many.
func (l *Ledger) CancelScheduled(ctx context.Context, id string) (int, error) {
	var members []any
	for s, err := range l.Scheduled(ctx, []string{Tag(id)}) {
		if err != nil {
			return 0, err
		}
		if s.Chain == id {
			members = append(members, s.TokenID+" "+s.Batch+" "+s.Key)
		}
	}
	total := 0
	for part := range slices.Chunk(members, 200) {
		r, err := l.runOnce(ctx, l.cancelScheduled, Tag(id), part...)
		if err != nil {
			return total, err
		}
		total += int(r.Int(1))
	}
	return total, nil
}
