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
	"habilita/internal/vault"
)

// The index finds calls by the id that their producer gave. It has 1,024 tags of the id's hash. It
// is written before the call: an entry may lead nowhere, but no call lacks one.
//
// The entry of a single call is the field "<id>\n<batch>\n<token>" of the hash "ids". Calls of bulks
// are many, so their entries take 5 bytes: 4 characters of the id's SHA-256 and the first 4 of the
// token's name. All entries of a batch stand together (index.lua). An entry leads to the few tokens
// whose names begin like that, and to their calls of that id, if they have any. So another id or
// token with the same bytes costs a look, but finds no wrong call.
//
// An older version made fields of 15 bytes in "ids" for them: one character more of the hash, then
// batch and token. They are still read.
//
// An entry that leads nowhere (its call was refused, or was purged) gets the time at the end of its
// value, and is removed a day later. A producer that indexes it again removes the time. Entries of
// bulks do not contain their ids, so they count as leading nowhere when their batch is gone.

// strayFor is how long an entry may lead nowhere: longer than any producer that indexed it
// takes to append its call.
const strayFor = 24 * time.Hour

// The hashes of a tag: for single calls, for short lists of bulks, and for what has no room there.
const (
	singleIDs = "ids"
	bulkIDs   = "places"
	moreIDs   = "places+"
)

func (l *Ledger) indexKey(tag, hash string) string { return l.bucket("x"+tag) + hash }

// Given is where a call with a given id is kept.
type Given struct {
	ID, Batch, Token string
	Bulk             bool // one of many: its entry takes 5 bytes
}

const (
	placeDigest, placeToken = 4, 4 // characters
	placeLen                = (placeDigest + placeToken) * 5 / 8

	// Of an older version.
	shortDigest, shortBatch, shortToken = 5, 12, 4
	shortLen                            = shortDigest + (shortBatch+shortToken)*5/8
)

// short reads the batch and the token's first characters from a short entry of an older version. Others are longer.
func short(field string) (batch, token string, ok bool) {
	if len(field) != shortLen {
		return "", "", false
	}
	place := vault.Lower32.EncodeToString([]byte(field[shortDigest:]))
	return place[:shortBatch], place[shortBatch:], true
}

// digest returns a part of an id's hash: other bits than those of its hash tag.
func digest(id string) string {
	sum := sha256.Sum256([]byte(id))
	return vault.Lower32.EncodeToString(sum[16:])[:shortDigest]
}

// Index notes where calls with given ids are kept, before they are appended.
func (l *Ledger) Index(ctx context.Context, entries []Given) error {
	if len(entries) == 0 {
		return nil
	}
	type list struct{ tag, batch string }
	single, bulk := map[string][]any{}, map[list][]any{}
	for _, e := range entries {
		tag := BatchID(e.ID)[:2]
		if !e.Bulk {
			single[tag] = append(single[tag], e.ID+"\n"+e.Batch+"\n"+e.Token, "")
			continue
		}
		place, err := vault.Lower32.DecodeString(digest(e.ID)[:placeDigest] + e.Token[:placeToken])
		if err != nil {
			return errTokenForm
		}
		of := list{tag, e.Batch}
		if bulk[of] == nil {
			bulk[of] = []any{e.Batch}
		}
		bulk[of] = append(bulk[of], place)
	}
	ctx = redisconn.Acknowledged(ctx)
	pipe := l.rdb.Pipeline()
	for tag, fields := range single {
		pipe.HSet(ctx, l.indexKey(tag, singleIDs), fields...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	var of []redisconn.Execution
	for list, args := range bulk {
		of = append(of, redisconn.Execution{Keys: []string{l.indexKey(list.tag, bulkIDs), l.indexKey(list.tag, moreIDs)}, Args: args})
	}
	return redisconn.FirstError(l.index.RunAll(ctx, l.rdb, of))
}

// Find returns the calls that have the id, made by CallID or given: none, one, or
// several if the id was given in several batches or for several tokens.
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
	tag := BatchID(id)[:2]
	key := l.indexKey(tag, singleIDs)
	for place, err := range l.fields(ctx, key, globEscaper.Replace(id)+"\n*") {
		if err != nil {
			return nil, err
		}
		if part := strings.Split(place.field, "\n"); len(part) == 3 && part[0] == id {
			if err := add(part[1], part[2], GivenKey(id)); err != nil {
				return nil, err
			}
		}
	}
	// among adds the calls of the tokens whose names begin like that.
	among := func(batch, begins string) error {
		for token, err := range l.fields(ctx, l.bucket(Tag(begins))+"tokens", begins+"*") {
			if err != nil {
				return err
			}
			if slices.ContainsFunc(out, func(c Call) bool { return c.Batch == batch && c.TokenID == token.field }) {
				continue // it has another entry, too
			}
			if err := add(batch, token.field, GivenKey(id)); err != nil {
				return err
			}
		}
		return nil
	}
	for place, err := range l.fields(ctx, key, digest(id)+"*") {
		if err != nil {
			return nil, err
		}
		if batch, begins, ok := short(place.field); ok {
			if err := among(batch, begins); err != nil {
				return nil, err
			}
		}
	}
	for _, hash := range []string{bulkIDs, moreIDs} {
		for list, err := range l.fields(ctx, l.indexKey(tag, hash), "") {
			if err != nil {
				return nil, err
			}
			batch, _, _ := strings.Cut(list.field, ".")
			for place := range slices.Chunk([]byte(list.value), placeLen) {
				if begins, ok := strings.CutPrefix(vault.Lower32.EncodeToString(place), digest(id)[:placeDigest]); ok && len(place) == placeLen {
					if err := among(batch, begins); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	return out, nil
}

type hashField struct{ field, value string }

// fields yields the fields of a hash that match.
func (l *Ledger) fields(ctx context.Context, key, match string) iter.Seq2[hashField, error] {
	return func(yield func(hashField, error) bool) {
		seen := map[string]bool{} // HSCAN may tell a field twice while the hash grows
		scan := l.rdb.HScan(ctx, key, 0, match, 500).Iterator()
		for scan.Next(ctx) {
			field := scan.Val()
			if again := seen[field]; !scan.Next(ctx) || again {
				continue
			}
			seen[field] = true
			if !yield(hashField{field, scan.Val()}, nil) {
				return
			}
		}
		if err := scan.Err(); err != nil {
			yield(hashField{}, err)
		}
	}
}

// TidyIDs removes entries that have led nowhere for a day, and marks those that lead nowhere
// now. It goes through the hashes of whole tags, beginning with tag number from, until it has looked at
// n entries or at all. It returns the number of the tag to go on with.
func (l *Ledger) TidyIDs(ctx context.Context, from, n int) (next int, err error) {
	for i := range Buckets {
		if next = (from + i) % Buckets; n <= 0 {
			return next, nil
		}
		for _, hash := range []string{singleIDs, bulkIDs, moreIDs} {
			key := l.indexKey(TagAt(next), hash)
			for cursor := uint64(0); ; {
				kv, more, err := l.rdb.HScan(ctx, key, cursor, "", 500).Result()
				if err != nil {
					return next, err
				}
				n -= len(kv) / 2
				if err := l.tidy(ctx, hash, key, kv); err != nil {
					return next, err
				}
				if cursor = more; cursor == 0 {
					break
				}
			}
		}
	}
	return from, nil
}

// tidy checks entries of one hash; kv has fields and values in turn.
func (l *Ledger) tidy(ctx context.Context, hash, key string, kv []string) error {
	pipe := l.rdb.Pipeline()
	there := make([]func() bool, 0, len(kv)/2)
	for i := 0; i+1 < len(kv); i += 2 {
		exists := func(key string) {
			n := pipe.Exists(ctx, key)
			there = append(there, func() bool { return n.Val() > 0 })
		}
		if hash != singleIDs {
			batch, _, _ := strings.Cut(kv[i], ".")
			exists(batchKey(l.o.Prefix, batch))
			continue
		}
		if batch, token, ok := short(kv[i]); ok {
			exists(l.bucket(Tag(token)) + "calls:" + batch)
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
	return l.tidyIDs().Run(ctx, l.rdb, []string{key}, args...).Err()
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)
