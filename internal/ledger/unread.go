package ledger

import (
	"context"
	"errors"
	"iter"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
)

// unreadParts gathers the tags of the buckets that can't be read.
func unreadParts() *redisconn.UnreadError { return &redisconn.UnreadError{What: redisconn.Parts} }

// ask calls put to put a command for each bucket, token or chain of a list into one pipeline; put gets the prefix of its
// bucket's keys. It passes the answered commands to got, and returns the buckets of the others.
func ask[C interface{ Err() error }](ctx context.Context, l *Ledger, of []string, put func(p redis.Pipeliner, bucket, one string) C, got func(i int, answer C)) *redisconn.UnreadError {
	unread := unreadParts()
	if len(of) == 0 {
		return unread
	}
	pipe := l.rdb.Pipeline()
	cmds := make([]C, len(of))
	for i, one := range of {
		cmds[i] = put(pipe, l.bucket(Tag(one)), one)
	}
	redisconn.Exec(ctx, pipe)
	for i, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			unread.Add(Tag(of[i]), err)
		} else {
			got(i, cmd)
		}
	}
	return unread
}

// readable returns the tags whose node answers, and notes the others in unread. A node that is away
// costs one round trip here; if its buckets were asked in turn, each would cost one.
func (l *Ledger) readable(ctx context.Context, tags []string) (up []string, unread *redisconn.UnreadError) {
	if len(tags) < 2 {
		return tags, unreadParts()
	}
	unread = ask(ctx, l, tags, func(p redis.Pipeliner, bucket, _ string) *redis.IntCmd { return p.Exists(ctx, bucket+"tokens") },
		func(i int, _ *redis.IntCmd) { up = append(up, tags[i]) })
	return up, unread
}

// each calls f with one tag after another, until f returns false. It passes over buckets that can't be
// read, or for which f fails. The error is an *UnreadError that names them, or only its cause if they are
// all buckets of the ledger.
func (l *Ledger) each(ctx context.Context, tags []string, f func(tag string) (more bool, err error)) error {
	up, unread := l.readable(ctx, tags)
	failed := 0
	for _, tag := range up {
		if failed >= mostFailures || ctx.Err() != nil {
			unread.Add(tag, ctx.Err())
			continue
		}
		more, err := f(tag)
		if err != nil {
			unread.Add(tag, err)
			failed++
		} else if !more {
			return nil
		}
	}
	return unread.Of(Buckets)
}

// stream yields what read yields for each bucket of tags, one after another, until read returns false.
// The error of each comes last.
func stream[T any](ctx context.Context, l *Ledger, tags []string, read func(tag string, yield func(T) bool) (more bool, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		err := l.each(ctx, tags, func(tag string) (bool, error) {
			return read(tag, func(one T) bool { return yield(one, nil) })
		})
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}

// mostFailures is how many buckets may fail, though their node answered, before the rest are not
// tried: each failure may take as long as the client's time-outs.
const mostFailures = 8

// failure returns the first error of a pipeline, or of one of its commands, that does not just say that
// a key or field is missing. Without commands it looks at err alone.
func failure(cmds []redis.Cmder, err error) error {
	if !errors.Is(err, redis.Nil) {
		return err
	}
	for _, c := range cmds {
		if err := c.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	return nil
}
