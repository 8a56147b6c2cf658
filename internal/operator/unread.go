package operator

import (
	"context"
	"fmt"

	"habilita/internal/chain"
)

// Unread returns how many of the chain.Buckets parts of the ledger could not be read, where an
// error says that the others were: what came with it is theirs. 0: err is nil or another one.
func Unread(err error) int {
	if unread, ok := chain.Unread(err); ok {
		return len(unread.Tags)
	}
	return 0
}

// partly reports whether something was read: all, or all but what an error names.
func partly(err error) bool { return err == nil || Unread(err) > 0 }

// survey returns what can be read, with an *UnreadError for the rest.
func (o *Operator) survey(ctx context.Context) ([]chain.Bucket, error) {
	buckets, err := o.ledger.Survey(ctx)
	if err != nil {
		err = fmt.Errorf("survey of the chains: %w", err)
	}
	return buckets, err
}
