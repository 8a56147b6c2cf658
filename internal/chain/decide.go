package chain

import (
	"context"
)

// Decision is what a person does with a held chain.
type Decision string

// The decisions on a held head. Cancelling is CancelChain and CancelBatch.
const (
	Retry Decision = "retry" // again, with a new budget of attempts
	Skip  Decision = "skip"  // leave it, go on with the next call
)

// Meant limits decisions to some held heads. The zero value means all.
type Meant struct {
	Batch  string // BatchID of the head's batch; "" any
	Server string // of the head; "" any
}

// Decide acts on a held chain. It returns false where the chain is not held or not
// meant. The counts show it when Decide returns. The chain's bucket is announced.
func (l *Ledger) Decide(ctx context.Context, id string, d Decision, m Meant) (bool, error) {
	r, err := l.run(ctx, l.decide, Tag(id), id, string(d), m.Batch, m.Server)
	if err != nil {
		return false, err
	}
	if r.int(2) > 0 {
		if err := l.Announce(ctx, r.time(0), Tag(id)); err != nil {
			return r.int(1) == 1, err
		}
	}
	return r.int(1) == 1, nil
}

// CancelChain takes all calls of a chain out, but one that runs. heldOnly leaves a
// chain that is not held alone, and m one whose head is not meant. Scheduled calls are of
// no chain yet: see CancelScheduled. It returns how many calls were cancelled.
func (l *Ledger) CancelChain(ctx context.Context, id string, m Meant, heldOnly bool) (int, error) {
	total := 0
	for {
		r, err := l.run(ctx, l.cancelChain, Tag(id), id, m.Server, flag(heldOnly), m.Batch)
		if err != nil {
			return total, err
		}
		total += int(r.int(1))
		if r.int(2) == 0 {
			return total, nil
		}
	}
}

// CancelBatch takes the calls of a batch out of the buckets of tags, but those that
// run, and lets no later ones in. It returns how many calls were cancelled.
func (l *Ledger) CancelBatch(ctx context.Context, batch string, tags []string) (int, error) {
	total := 0
	for _, tag := range tags {
		for cursor := "0"; ; {
			r, err := l.run(ctx, l.cancelBatch, tag, batch, cursor)
			if err != nil {
				return total, err
			}
			total += int(r.int(2))
			if r.int(3) > 0 {
				if err := l.Announce(ctx, r.time(0), tag); err != nil {
					return total, err
				}
			}
			if cursor = r.str(1); cursor == "0" {
				break
			}
		}
	}
	return total, nil
}
