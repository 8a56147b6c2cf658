package ledger

import (
	"context"
	"errors"
	"fmt"
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

// enough reports whether trying on is of no use.
func (e *UnreadError) enough(ctx context.Context) bool {
	return len(e.Tags) >= mostFailures || ctx.Err() != nil
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

// mostFailures is how many buckets may fail before the others are not tried: each may take as long
// as the client's time-outs.
const mostFailures = 8
