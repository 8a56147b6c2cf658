package ledger

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Purge deletes the records of a batch in the buckets of tags, and a sealed token with the token's
// last record. It keeps what is open or held. For NoBatch it deletes calls that ended before the
// given time. TidyIDs removes the entries of their ids later. It returns how many records were
// deleted: with a *redisconn.UnreadError, those of the buckets that could be read.
func (l *Ledger) Purge(ctx context.Context, batch string, tags []string, before time.Time) (int, error) {
	total := 0
	err := l.each(ctx, tags, func(tag string) (bool, error) {
		n, err := l.purgeBucket(ctx, batch, tag, before)
		total += n
		return true, err
	})
	return total, err
}

func (l *Ledger) purgeBucket(ctx context.Context, batch, tag string, before time.Time) (int, error) {
	total := 0
	for cursor := "0"; ; {
		r, err := l.run(ctx, l.purge, tag, batch, cursor, before.UnixMilli())
		if err != nil {
			return total, err
		}
		total += int(r.Int(2))
		if cursor = r.Str(1); cursor == "0" {
			return total, nil
		}
	}
}

// Reseal passes every sealed token to reseal, and replaces it by the result if that is another. A
// token that was given again meanwhile is passed again, since its producer may still seal under the
// older key. It returns how many were replaced.
func (l *Ledger) Reseal(ctx context.Context, reseal func(token, sealed string) (string, error)) (int, error) {
	replaced := 0
	up, unread := l.readable(ctx, AllTags())
	for _, tag := range up {
		for token, err := range l.fields(ctx, l.bucket(tag)+"tokens", "") {
			if err != nil && ctx.Err() == nil {
				unread.Add(tag, err)
				continue // it is the last one
			}
			done := false
			if err == nil {
				done, err = l.resealOne(ctx, token.field, sealedOf(token.value), reseal)
			}
			if err != nil {
				return replaced, err
			}
			if done {
				replaced++
			}
		}
	}
	return replaced, unread.Of(Buckets)
}

func (l *Ledger) resealOne(ctx context.Context, token, sealed string, reseal func(token, sealed string) (string, error)) (bool, error) {
	for sealed != "" {
		anew, err := reseal(token, sealed)
		if err != nil || anew == sealed {
			return false, err
		}
		n, err := l.reseal().Run(ctx, l.rdb, l.keys(Tag(token)), token, sealed, anew).Int()
		if err != nil || n == 1 {
			return n == 1, err
		}
		if sealed, err = l.Sealed(ctx, token); err != nil {
			return false, err
		}
	}
	return false, nil
}

// Tokens returns the names of all tokens that the ledger knows: with a *redisconn.UnreadError, those of the
// buckets that could be read.
func (l *Ledger) Tokens(ctx context.Context) ([]string, error) {
	var out []string
	unread := ask(ctx, l, AllTags(), func(p redis.Pipeliner, bucket, _ string) *redis.StringSliceCmd { return p.HKeys(ctx, bucket+"tokens") },
		func(_ int, cmd *redis.StringSliceCmd) { out = append(out, cmd.Val()...) })
	return out, unread.Of(Buckets)
}

func sealedOf(v string) string {
	_, sealed, _ := strings.Cut(v, ":")
	return sealed
}

// Finished is a call that ended, and whose producer asked to be told (NewCall.Notify). It stays until Told.
type Finished struct {
	Batch, Token, Key string

	entry string
}

// Finished returns up to most of them from each bucket, in the order in which they ended. With a *redisconn.UnreadError
// they are those of the buckets that could be read.
func (l *Ledger) Finished(ctx context.Context, most int) ([]Finished, error) {
	var out []Finished
	unread := ask(ctx, l, AllTags(), func(p redis.Pipeliner, bucket, _ string) *redis.StringSliceCmd {
		return p.LRange(ctx, bucket+"finished", 0, int64(most)-1)
	}, func(_ int, cmd *redis.StringSliceCmd) {
		for _, entry := range cmd.Val() {
			batch, field, ok := strings.Cut(entry, " ")
			if ok && len(field) > TokenLen {
				out = append(out, Finished{batch, field[:TokenLen], field[TokenLen:], entry})
			}
		}
	})
	return out, unread.Of(Buckets)
}

// Told removes a call whose end was told.
func (l *Ledger) Told(ctx context.Context, f Finished) error {
	return l.rdb.LRem(ctx, l.bucket(Tag(f.Token))+"finished", 1, f.entry).Err()
}
