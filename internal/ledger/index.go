package ledger

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// The index finds calls to which their producer gave an id: hash of 1,024 tags of the
// id, field "<id>\n<batch>\n<token>". It is written before the call, so that an entry may
// lead nowhere, but no call is without one. An entry that leads nowhere (its call was refused,
// or was purged) gets the time as its value, and is removed a day later. A producer that indexes
// it again empties the value.

// strayFor is how long an entry may lead nowhere: longer than any producer that indexed it
// takes to append its call.
const strayFor = 24 * time.Hour

func (l *Ledger) indexKey(id string) string { return l.indexKeyAt(BatchID(id)[:2]) }

func (l *Ledger) indexKeyAt(tag string) string { return l.prefix + ":{x" + tag + "}:ids" }

// Given is where a call with a given id is kept.
type Given struct{ ID, Batch, Token string }

// Index notes where calls with given ids are kept, before they are appended.
func (l *Ledger) Index(ctx context.Context, entries []Given) error {
	if len(entries) == 0 {
		return nil
	}
	byKey := map[string][]any{}
	for _, e := range entries {
		key := l.indexKey(e.ID)
		byKey[key] = append(byKey[key], e.ID+"\n"+e.Batch+"\n"+e.Token, "")
	}
	pipe := l.rdb.Pipeline()
	for key, fields := range byKey {
		pipe.HSet(ctx, key, fields...)
	}
	_, err := pipe.Exec(ctx)
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
	if batch, token, key, err := ParseCallID(id); err == nil {
		if err := add(batch, token, key); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{} // HSCAN may tell a field twice while the hash grows
	for cursor := uint64(0); ; {
		kv, next, err := l.rdb.HScan(ctx, l.indexKey(id), cursor, globEscape(id)+"\n*", 1000).Result()
		if err != nil {
			return nil, err
		}
		for i := 0; i+1 < len(kv); i += 2 {
			part := strings.Split(kv[i], "\n")
			if len(part) != 3 || part[0] != id || seen[kv[i]] {
				continue
			}
			seen[kv[i]] = true
			if err := add(part[1], part[2], GivenKey(id)); err != nil {
				return nil, err
			}
		}
		if cursor = next; cursor == 0 {
			return out, nil
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
	there := make([]*redis.BoolCmd, 0, len(kv)/2)
	for i := 0; i+1 < len(kv); i += 2 {
		id, rest, _ := strings.Cut(kv[i], "\n")
		batch, token, _ := strings.Cut(rest, "\n")
		there = append(there, pipe.HExists(ctx, l.bucket(Tag(token))+"calls:"+batch, token+GivenKey(id)))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	args := []any{strayFor.Milliseconds()}
	for i, c := range there {
		if !c.Val() {
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
