package ledger

import "context"

// LiftCooling ends the cool-down of a token; its chains that wait for that may run at
// once. False where it did not cool.
func (l *Ledger) LiftCooling(ctx context.Context, token string) (bool, error) {
	r, err := l.run(ctx, l.lift, Tag(token), token)
	if err != nil {
		return false, err
	}
	return r.int(1) == 1, l.Signal(ctx, r.time(0), Tag(token))
}
