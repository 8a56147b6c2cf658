package chain

import (
	"context"
	"errors"
	"strings"
)

// The index finds calls to which their producer gave an id: hash of 1,024 tags of the
// id, field "<id>\n<batch>\n<token>". It is written before the call, so that an entry may
// lead nowhere, but no call is without one.

func (l *Ledger) indexKey(id string) string {
	tag := BatchID(id)[:2]
	return l.prefix + ":{x" + tag + "}:ids"
}

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

// unindex forgets entries whose calls were purged.
func (l *Ledger) unindex(ctx context.Context, entries []Given) error {
	if len(entries) == 0 {
		return nil
	}
	pipe := l.rdb.Pipeline()
	for _, e := range entries {
		pipe.HDel(ctx, l.indexKey(e.ID), e.ID+"\n"+e.Batch+"\n"+e.Token)
	}
	_, err := pipe.Exec(ctx)
	return err
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

func globEscape(s string) string { return globEscaper.Replace(s) }
