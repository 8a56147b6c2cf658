package ledger

import "context"

// ReleaseSlot frees the slot of a request that was granted to no chain, by quota's Limiter, and
// was ANSWERED; after an unknown outcome the slot is left to its lease. The chain that
// waited longest for it may run at once. With days, those of the grant, the request is taken
// off them: only for one that certainly was not sent. Again is harmless.
func (l *Ledger) ReleaseSlot(ctx context.Context, token, nonce string, slots int, days string) error {
	r, err := l.run(ctx, l.releaseSlot, Tag(token), token, nonce, slots, days)
	if err != nil || r.int(2) == 0 {
		return err
	}
	return l.Signal(ctx, r.time(0), Tag(token))
}

// Sealed returns a token in its sealed form; "" where the ledger does not have it.
func (l *Ledger) Sealed(ctx context.Context, token string) (string, error) {
	v, err := l.rdb.HMGet(ctx, l.bucket(Tag(token))+"tokens", token).Result()
	if err != nil {
		return "", err
	}
	text, _ := v[0].(string)
	return sealedOf(text), nil
}
