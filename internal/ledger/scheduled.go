package ledger

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Scheduled is a call that is not due yet: it is of no chain, and blocks nothing.
type Scheduled struct {
	Call
	DueAt Time `json:"due_at"` // when it joins the end of its chain
}

// perPage is how many scheduled calls are read at a time.
const perPage = 500

// Scheduled streams the scheduled calls of the buckets of tags, bucket by bucket, in each
// the last one first. One that becomes due meanwhile may be told still; one that is taken
// out meanwhile may hide another. An error is the last thing that is yielded: a *redisconn.UnreadError
// after the calls of the buckets that could be read.
func (l *Ledger) Scheduled(ctx context.Context, tags []string) iter.Seq2[Scheduled, error] {
	return stream(ctx, l, tags, func(tag string, yield func(Scheduled) bool) (bool, error) {
		// From the end, since what becomes due goes from the beginning.
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

// Due returns when a call joins its chain; zero for one that is not scheduled, or that
// has joined it.
func (l *Ledger) Due(ctx context.Context, batch, token, key string) (time.Time, error) {
	ms, err := l.rdb.ZScore(ctx, l.bucket(Tag(token))+"delayed", token+" "+batch+" "+key).Result()
	if errors.Is(err, redis.Nil) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(int64(ms)), nil
}

// CancelScheduled takes the scheduled calls that would join a chain out. It returns how
// many were cancelled.
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
