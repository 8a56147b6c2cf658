package chain

import (
	"context"
	"errors"
	"time"
)

// perRestore is how many calls one restore script takes.
const perRestore = 64

// The states of a call that a journal remembers (Restored.State).
const (
	RestoreSucceeded = "s"
	RestoreGivenUp   = "f" // what its batch's policy says is done again
	RestoreSkipped   = "k"
	RestoreInFlight  = "x" // granted, and no outcome is known
	RestoreWaiting   = "w" // to be tried again
)

// Restored is what a journal remembers of a call that was granted at least once.
type Restored struct {
	Token, Chain, Key string // as in NewCall
	State             string
	Attempts          int
	Enqueued          time.Time
	Started           time.Time // of the first attempt
	Finished          time.Time // succeeded, given up, skipped
	Code, Msg, Err    string

	Spent         int       // of the budget
	Failures      int       // in a row
	FirstPushBack time.Time // of this budget; zero: none
	Until         time.Time // in flight: the lease's end; waiting: the next attempt
	Nonce, Days   string    // in flight: of the grant
	// QuietUntil is the end of the lease of an attempt of unknown outcome: the chain
	// gets no grant before. Zero: none.
	QuietUntil time.Time
}

// Restore puts calls that were appended to a new ledger into the state that a journal
// remembers, before a worker runs. The calls of a chain must come in its order. What is
// not as it was appended is left alone, so that restoring again is harmless; it returns how many were
// restored. An attempt in flight is taken for one whose worker was lost: its chain goes
// on when its lease has ended, and the outcome is unknown.
//
// It is for a Redis that lives no longer than its process. Slots, counts and cool-downs
// are restored by package quota.
func (l *Ledger) Restore(ctx context.Context, batch string, calls []Restored) (int, error) {
	byTag := map[string][]any{}
	var order []string
	total := 0
	var errs []error
	send := func(tag string) {
		r, err := l.run(ctx, l.restore, tag, append([]any{batch}, byTag[tag]...)...)
		if err != nil {
			errs = append(errs, err)
		}
		total += int(r.int(1))
		byTag[tag] = byTag[tag][:0]
	}
	for i := range calls {
		c := &calls[i]
		tag := Tag(c.Token)
		if byTag[tag] == nil {
			order = append(order, tag)
		}
		byTag[tag] = append(byTag[tag], c.args()...)
		if len(byTag[tag]) >= 17*perRestore {
			send(tag)
		}
	}
	for _, tag := range order {
		if len(byTag[tag]) > 0 {
			send(tag)
		}
	}
	return total, errors.Join(errs...)
}

func (c *Restored) args() []any {
	ms := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.UnixMilli()
	}
	return []any{
		ID(c.Token, c.Chain), c.Key, c.State, c.Attempts, ms(c.Enqueued), ms(c.Started), ms(c.Finished),
		c.Code, c.Msg, c.Err, c.Spent, c.Failures, ms(c.FirstPushBack), ms(c.Until), c.Nonce, c.Days, ms(c.QuietUntil),
	}
}
