package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// UnreadError says that some buckets could not be read, and the others were: one node of a Redis
// Cluster is away, most often.
type UnreadError struct {
	Tags  []string // of the buckets that could not be read
	Cause error    // of the first of them
}

// Error says how many are missing, and why.
func (e *UnreadError) Error() string {
	return fmt.Sprintf("%d of %d buckets can't be read (the first is {%s}): %v", len(e.Tags), Buckets, e.Tags[0], e.Cause)
}

// Unwrap is the cause.
func (e *UnreadError) Unwrap() error { return e.Cause }

func (e *UnreadError) add(tag string, err error) {
	if e.Cause == nil && err != nil {
		e.Cause = err
	}
	e.Tags = append(e.Tags, tag)
}

// readable returns those of tags whose node answers, and notes the others in unread. One that
// is away costs one round trip here, and one for each of its buckets where they are asked in turn.
func (l *Ledger) readable(ctx context.Context, tags []string, unread *UnreadError) []string {
	if len(tags) < 2 {
		return tags
	}
	pipe := l.rdb.Pipeline()
	cmds := make([]*redis.IntCmd, len(tags))
	for i, tag := range tags {
		cmds[i] = pipe.Exists(ctx, l.bucket(tag)+"tokens")
	}
	tell(pipe.Exec(ctx)) // each command's own error is looked at below
	up := make([]string, 0, len(tags))
	for i, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			unread.add(tags[i], err)
		} else {
			up = append(up, tags[i])
		}
	}
	return up
}

// each calls f with one of tags after the other, until it returns false. What can't be read, or
// fails, is passed over and told by the error: an *UnreadError, if anything is left beside it.
func (l *Ledger) each(ctx context.Context, tags []string, f func(tag string) (more bool, err error)) error {
	unread, failed := &UnreadError{}, 0
	for _, tag := range l.readable(ctx, tags, unread) {
		if failed >= mostFailures || ctx.Err() != nil {
			unread.add(tag, ctx.Err())
			continue
		}
		more, err := f(tag)
		if err != nil {
			unread.add(tag, err)
			failed++
		} else if !more {
			return nil
		}
	}
	return unread.orNil()
}

// orNil is the error: nil where all was read, and the plain cause where nothing was.
func (e *UnreadError) orNil() error {
	switch len(e.Tags) {
	case 0:
		return nil
	case Buckets:
		return e.Cause
	}
	return e
}

// Unread tells an error that leaves the other buckets readable, and whether it is one.
func Unread(err error) (*UnreadError, bool) {
	var unread *UnreadError
	ok := errors.As(err, &unread)
	return unread, ok
}

// mostFailures is how many buckets whose node answered may fail before the others are not tried:
// each may take as long as the client's time-outs.
const mostFailures = 8

// failure is the first error of a pipeline, or of one of its commands, that is not of a key or field
// that is not there.
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

// tell gives the commands of a pipeline its error if none of them has one: a go-redis that
// reached no server at all tells so of the pipeline alone.
func tell(cmds []redis.Cmder, err error) {
	if err == nil {
		return
	}
	for _, c := range cmds {
		if c.Err() != nil {
			return
		}
	}
	for _, c := range cmds {
		c.SetErr(err)
	}
}
