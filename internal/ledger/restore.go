package ledger

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// perRestore is how many calls one restore script takes. A script may be long, since nobody waits
// for its Redis yet. Starting one inside the process costs as much as several calls.
const perRestore = 256

// The states of a call that a write-ahead log has (Restored.State).
const (
	RestoreSucceeded = "s"
	RestoreGivenUp   = "f" // what its batch's policy says is done again
	RestoreSkipped   = "k"
	RestoreCancelled = "c"
	RestoreInFlight  = "x" // granted, and no outcome is known
	RestoreWaiting   = "w" // to be tried again
)

// Restored is what a write-ahead log says about a call that was granted at least once, or cancelled.
type Restored struct {
	Token, Chain, Key string // as in NewCall
	State             string
	Attempts          int
	Enqueued          time.Time
	Started           time.Time // of the first attempt
	Finished          time.Time // succeeded, given up, skipped
	Code, Msg, Err    string
	Reason            string // as in Outcome

	Spent         int       // of the budget
	Failures      int       // in a row
	FirstPushBack time.Time // of this budget; zero: none
	Until         time.Time // in flight: the lease's end; waiting: the next attempt
	Nonce, Days   string    // in flight: of the grant
	// QuarantinedUntil is the end of the lease of an attempt of unknown outcome: the chain
	// gets no grant before then. Zero: none.
	QuarantinedUntil time.Time
}

// Restore puts calls that were appended to a new ledger into the state that a write-ahead
// log has, before a worker runs. The calls of a chain must come in its order. Restore leaves
// alone a call that is not as it was appended, so restoring again is harmless. A call that was not
// appended keeps its chain in quarantine, and has no other effect. An attempt in flight is taken
// for one whose worker was lost: its chain goes on when its lease has ended, and the outcome is
// unknown. Restore returns how many calls it restored, and stops at the first error.
//
// It is for a Redis that lives no longer than its process. Package quota restores slots,
// counts and cool-downs.
func (l *Ledger) Restore(ctx context.Context, batch string, calls []*Restored) (int, error) {
	// Chain after chain, and so bucket after bucket, since a token's name begins with its tag.
	calls = slices.Clone(calls)
	slices.SortStableFunc(calls, func(a, b *Restored) int {
		return cmp.Or(strings.Compare(a.Token, b.Token), strings.Compare(a.Chain, b.Chain))
	})
	total := 0
	for len(calls) > 0 {
		tag, args, n := Tag(calls[0].Token), []any{batch}, 0
		for n < min(len(calls), perRestore) && Tag(calls[n].Token) == tag {
			args = append(args, calls[n].args()...)
			n++
		}
		r, err := l.run(ctx, l.restore, tag, args...)
		if err != nil {
			return total, err
		}
		total += int(r.Int(1))
		calls = calls[n:]
	}
	return total, nil
}

func (c *Restored) args() []any {
	ms := func(t time.Time) int64 { return max(0, t.UnixMilli()) } // the zero time is long before 1970
	return []any{
		ChainID(c.Token, c.Chain), c.Key, c.State, c.Attempts, ms(c.Enqueued), ms(c.Started), ms(c.Finished),
		c.Code, c.Msg, c.Err, c.Spent, c.Failures, ms(c.FirstPushBack), ms(c.Until), c.Nonce, c.Days, ms(c.QuarantinedUntil), c.Reason,
	}
}
