package ledger

import (
	"context"
	"time"
)

// LiftCooling ends the cool-down of a token; its chains that wait for that may run at
// once. False where it did not cool.
func (l *Ledger) LiftCooling(ctx context.Context, token string) (bool, error) {
	r, err := l.run(ctx, l.lift, Tag(token), token)
	if err != nil {
		return false, err
	}
	l.signalAll(ctx, map[string]time.Time{Tag(token): r.time(0)})
	return r.int(1) == 1, nil
}
