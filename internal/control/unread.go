package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/schedule"
)

// Unread returns how many of the ledger.Buckets parts of the ledger could not be read, and how many
// batches and schedules as a whole, where an error says that the others were: what came with it is
// theirs. 0: err is nil or another one.
func Unread(err error) int {
	n := 0
	if unread, ok := ledger.Unread(err); ok {
		n = len(unread.Tags)
	}
	if unread := new(ledger.UnreadBatchesError); errors.As(err, &unread) {
		n += unread.Batches
	}
	if unread := new(schedule.UnreadError); errors.As(err, &unread) {
		n += unread.Schedules
	}
	return n
}

// UnreadWords says for people what an error that Unread tells means.
func UnreadWords(err error) string {
	var what []string
	var cause error
	if unread, ok := ledger.Unread(err); ok {
		what, cause = append(what, fmt.Sprintf("%d of its %d parts", len(unread.Tags), ledger.Buckets)), unread.Cause
	}
	if unread := new(ledger.UnreadBatchesError); errors.As(err, &unread) {
		what, cause = append(what, fmt.Sprintf("batches: %d", unread.Batches)), cmp.Or(cause, unread.Cause)
	}
	if unread := new(schedule.UnreadError); errors.As(err, &unread) {
		what, cause = append(what, fmt.Sprintf("schedules: %d", unread.Schedules)), cmp.Or(cause, unread.Cause)
	}
	return fmt.Sprintf("a part of Redis can't be read now (%s): %v. What it holds is not shown, counted or acted on here. "+
		"Nothing is lost: give the command again when that node is back", strings.Join(what, ", "), cause)
}

// UnreadNote is what the log of decisions says of it, behind what was done; "" for any other error.
func UnreadNote(err error) string {
	switch n := Unread(err); n {
	case 0:
		return ""
	case 1:
		return "; 1 part of Redis could not be read"
	default:
		return fmt.Sprintf("; %d parts of Redis could not be read", n)
	}
}

// unreadTokens are the parts of the ledger that tokens are in.
func unreadTokens(e *quota.PeekError) error {
	var tags []string
	for _, t := range e.Tokens {
		tags = append(tags, ledger.Tag(t))
	}
	slices.Sort(tags)
	return &ledger.UnreadError{Tags: slices.Compact(tags), Cause: e.Cause}
}

// partly reports whether something was read: all, or all but what an error names.
func partly(err error) bool { return err == nil || Unread(err) > 0 }

// buckets returns what can be read of all buckets, with an error that Unread tells for the rest.
func (o *Control) buckets(ctx context.Context) ([]ledger.Bucket, error) {
	buckets, err := o.ledger.Inspect(ctx)
	if err != nil {
		err = fmt.Errorf("look at the chains: %w", err)
	}
	return buckets, err
}
