package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"habilita/internal/redisconn"
)

// The index finds calls to which their producer gave an id: hash of 1,024 tags of the
// id, field "<id>\n<batch>\n<token>", or short (Given.Bulk). It is written before the call, so that
// an entry may lead nowhere, but no call is without one. An entry that leads nowhere (its call was
// refused, or was purged) gets the time as its value, and is removed a day later. A producer that
// indexes it again empties the value.
//
// A short entry has 15 bytes: 5 characters of the id's SHA-256, then the bytes of the batch and of
// the first 4 characters of the token's name. It leads to the few tokens of a bucket that begin so, and to their
// call of that id, if they have one: so what else has the same bytes costs a look, and finds
// nothing wrong. It can't tell its id, so it leads nowhere when its batch has no calls in the bucket.

// strayFor is how long an entry may lead nowhere: longer than any producer that indexed it
// takes to append its call.
const strayFor = 24 * time.Hour

func (l *Ledger) indexKey(id string) string { return l.indexKeyAt(BatchID(id)[:2]) }

func (l *Ledger) indexKeyAt(tag string) string { return l.prefix + ":{x" + tag + "}:ids" }

// Given is where a call with a given id is kept.
type Given struct {
	ID, Batch, Token string
	Bulk             bool // one of many: its entry is short
}

const (
	shortDigest = 5
	shortBatch  = 12
	shortToken  = 4
	shortLen    = shortDigest + (shortBatch+shortToken)*5/8
)

// field is the entry's.
func (g Given) field() string {
	if g.Bulk {
		if place, err := lower.DecodeString(g.Batch + g.Token[:shortToken]); err == nil && len(g.Batch) == shortBatch {
			return digest(g.ID) + string(place)
		}
	}
	return g.ID + "\n" + g.Batch + "\n" + g.Token
}

// short tells batch and first characters of the token of a short entry. Another one is longer.
func short(field string) (batch, token string, ok bool) {
	if len(field) != shortLen {
		return "", "", false
	}
	place := lower.EncodeToString([]byte(field[shortDigest:]))
	return place[:shortBatch], place[shortBatch:], true
}

// digest is of an id: other bits than those of its hash tag.
func digest(id string) string {
	sum := sha256.Sum256([]byte(id))
	return lower.EncodeToString(sum[16:])[:shortDigest]
}

// Index notes where calls with given ids are kept, before they are appended.
func (l *Ledger) Index(ctx context.Context, entries []Given) error {
	if len(entries) == 0 {
		return nil
	}
	byKey := map[string][]any{}
	for _, e := range entries {
		key := l.indexKey(e.ID)
		byKey[key] = append(byKey[key], e.field(), "")
	}
	pipe := l.rdb.Pipeline()
	for key, fields := range byKey {
		pipe.HSet(ctx, key, fields...)
	}
	_, err := pipe.Exec(redisconn.Acknowledged(ctx))
	return err
}

// Find returns the calls that bear the id, made by CallID or given: none, one, or
// several where the id was given in several batches or for several tokens.
func (l *Ledger) Find(ctx context.Context, id string) ([]Call, error) {
	var out []Call
	add := func(batch, token, key string) error {
		c, err := l.Call(ctx, batch, token, key)
		if err == nil {
			out = append(out, c)
		} else if !errors.Is(err, ErrNoCall) {
			return err
		}
		return nil
	}
	if batch, token, key, ok := parseCallID(id); ok {
		if err := add(batch, token, key); err != nil {
			return nil, err
		}
	}
	key := l.indexKey(id)
	for place, err := range l.places(ctx, key, globEscape(id)+"\n*") {
		if err != nil {
			return nil, err
		}
		if part := strings.Split(place, "\n"); len(part) == 3 && part[0] == id {
			if err := add(part[1], part[2], GivenKey(id)); err != nil {
				return nil, err
			}
		}
	}
	for place, err := range l.places(ctx, key, digest(id)+"*") {
		if err != nil {
			return nil, err
		}
		batch, begins, ok := short(place)
		if !ok {
			continue
		}
		for token, err := range l.places(ctx, l.bucket(Tag(begins))+"tokens", begins+"*") {
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(out, func(c Call) bool { return c.Batch == batch && c.Token == token }) {
				continue // it has an entry of the other form, too
			}
			if err := add(batch, token, GivenKey(id)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// places are the fields of a hash that match.
func (l *Ledger) places(ctx context.Context, key, match string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		seen := map[string]bool{} // HSCAN may tell a field twice while the hash grows
		for cursor := uint64(0); ; {
			kv, next, err := l.rdb.HScan(ctx, key, cursor, match, 1000).Result()
			if err != nil {
				yield("", err)
				return
			}
			for i := 0; i+1 < len(kv); i += 2 {
				if seen[kv[i]] {
					continue
				}
				seen[kv[i]] = true
				if !yield(kv[i], nil) {
					return
				}
			}
			if cursor = next; cursor == 0 {
				return
			}
		}
	}
}

// TidyIDs removes entries that have led nowhere for a day, and marks those that lead nowhere
// now. It looks at whole hashes of the index, at least at n entries or all, from the nth hash on;
// it returns where to go on.
func (l *Ledger) TidyIDs(ctx context.Context, from, n int) (next int, err error) {
	for i := range Buckets {
		if next = (from + i) % Buckets; n <= 0 {
			return next, nil
		}
		key := l.indexKeyAt(TagAt(next))
		for cursor := uint64(0); ; {
			kv, more, err := l.rdb.HScan(ctx, key, cursor, "", 500).Result()
			if err != nil {
				return next, err
			}
			n -= len(kv) / 2
			if err := l.tidy(ctx, key, kv); err != nil {
				return next, err
			}
			if cursor = more; cursor == 0 {
				break
			}
		}
	}
	return from, nil
}

// tidy looks at entries of one hash: fields and values in turn.
func (l *Ledger) tidy(ctx context.Context, key string, kv []string) error {
	pipe := l.rdb.Pipeline()
	there := make([]func() bool, 0, len(kv)/2)
	for i := 0; i+1 < len(kv); i += 2 {
		if batch, token, ok := short(kv[i]); ok {
			n := pipe.Exists(ctx, l.bucket(Tag(token))+"calls:"+batch)
			there = append(there, func() bool { return n.Val() > 0 })
			continue
		}
		id, rest, _ := strings.Cut(kv[i], "\n")
		batch, token, _ := strings.Cut(rest, "\n")
		there = append(there, pipe.HExists(ctx, l.bucket(Tag(token))+"calls:"+batch, token+GivenKey(id)).Val)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	args := []any{strayFor.Milliseconds()}
	for i, c := range there {
		if !c() {
			args = append(args, kv[2*i], kv[2*i+1])
		}
	}
	if len(args) == 1 {
		return nil
	}
	return l.tidyIDs.run(ctx, l.rdb, []string{key}, args...).Err()
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

func globEscape(s string) string { return globEscaper.Replace(s) }
