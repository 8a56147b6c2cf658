package control

import (
	"context"
	"fmt"

	"habilita/internal/ledger"
)

// Unread returns how many of the chain.Buckets parts of the ledger could not be read, where an
// error says that the others were: what came with it is theirs. 0: err is nil or another one.
func Unread(err error) int {
	if unread, ok := ledger.Unread(err); ok {
		return len(unread.Tags)
	}
	return 0
}

// partly reports whether something was read: all, or all but what an error names.
func partly(err error) bool { return err == nil || Unread(err) > 0 }

// reconciliation returns what can be read, with an *UnreadError for the rest.
func (o *Control) buckets(ctx context.Context) ([]ledger.Bucket, error) {
	buckets, err := o.ledger.Inspect(ctx)
	if err != nil {
		err = fmt.Errorf("survey of the chains: %w", err)
	}
	return buckets, err
}
