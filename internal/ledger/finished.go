package ledger

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Finished is a call that ended and whose end is to be told (NewCall.Notify). It stays until Told.
type Finished struct {
	Batch, Token, Key string

	entry string
}

// Finished returns up to most of them of each bucket, in the order in which they ended. With a *redisconn.UnreadError they are those of
// the buckets that could be read.
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

// Told removes an end that was told.
func (l *Ledger) Told(ctx context.Context, f Finished) error {
	return l.rdb.LRem(ctx, l.bucket(Tag(f.Token))+"finished", 1, f.entry).Err()
}
