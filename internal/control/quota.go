package control

import (
	"context"
	"errors"
	"slices"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/wolkvox"
)

// QuotaRow is what a token has used.
type QuotaRow struct {
	TokenID      string `json:"token_id"`
	Used         int    `json:"used"`  // requests counted today
	Quota        int    `json:"quota"` // requests of a day
	Licenses     int    `json:"licenses"`
	Slots        int    `json:"slots"`   // held now
	Waiting      int    `json:"waiting"` // chains that wait for it: for a slot, its quota or the end of its cool-down
	CoolingUntil Time   `json:"cooling_until"`
	// CoolingReason is the kind of the refusal that began the cool-down, and CoolingWhy the same
	// in words. "": none, or begun by an older version, which kept the words alone.
	CoolingReason string `json:"cooling_reason"`
	CoolingWhy    string `json:"cooling_why"`
	ProbeAt       Time   `json:"probe_at"` // a gentle try not before
	NextDayAt     Time   `json:"next_day_at"`
}

// Quota returns what every token that the ledger knows has used, by token_id. If Unread(err) > 0,
// these are the tokens that could be read.
func (o *Control) Quota(ctx context.Context) ([]QuotaRow, error) {
	tokens, unread := o.tokens(ctx)
	if !redisconn.Partly(unread) {
		return nil, unread
	}
	rows, err := o.QuotaOf(ctx, tokens)
	return rows, errors.Join(unread, err)
}

// tokens returns the names of all tokens that can be read, sorted.
func (o *Control) tokens(ctx context.Context) ([]string, error) {
	tokens, err := o.ledger.Tokens(ctx)
	slices.Sort(tokens)
	return tokens, of(err, "list of the tokens")
}

// QuotaOf returns what these tokens have used, in their order. Like Quota, it leaves out what can't be read.
func (o *Control) QuotaOf(ctx context.Context, tokens []string) ([]QuotaRow, error) {
	usages, err := o.limiter.PeekMany(ctx, tokens)
	if !redisconn.Partly(err) {
		return nil, err
	}
	waiters, waiting := o.ledger.WaitersOf(ctx, tokens)
	if err = errors.Join(err, of(waiting, "chains that wait for their token")); !redisconn.Partly(waiting) {
		return nil, err
	}
	out := make([]QuotaRow, len(usages))
	for i, u := range usages {
		reason, why := cooling(u.CoolingWhy)
		out[i] = QuotaRow{
			TokenID: u.Token, Used: u.Used, Quota: u.Limit, Licenses: u.Licenses, Slots: u.Held, Waiting: waiters[u.Token],
			CoolingUntil: Time{Time: u.CoolingUntil}, CoolingReason: reason, CoolingWhy: why,
			ProbeAt: Time{Time: u.Probe}, NextDayAt: Time{Time: u.NextDay},
		}
	}
	return out, err
}

// cooling returns the code of a cool-down and its words, from what the ledger stores.
func cooling(stored string) (reason, words string) {
	if words = wolkvox.Kind(stored).Cooling(); words != stored {
		reason = stored
	}
	return reason, words
}

// ErrTokenID says that a text can't be a token_id.
var ErrTokenID = errors.New("not a token_id: `enqueue quota` lists them")

// LiftCooling ends the cool-down of a token, so that its chains go on at once. It returns false
// if the token did not cool down.
func (o *Control) LiftCooling(ctx context.Context, tokenID string) (bool, error) {
	if !ledger.IsToken(tokenID) {
		return false, ErrTokenID // not shown: it may be a token that was given for its name
	}
	return o.notedLift(ctx, "token "+tokenID, func() (bool, error) {
		was, err := o.limiter.Lift(ctx, tokenID)
		return was, of(err, "cool-down of token %s", tokenID)
	})
}

// LiftServer closes the breaker of a server of the vendor, so that calls are made to it again. It returns
// false if the breaker was closed. For a server that nobody called the error is breaker.ErrUnknownServer.
func (o *Control) LiftServer(ctx context.Context, server string) (bool, error) {
	name, err := wolkvox.ParseServer(server)
	if err != nil {
		return false, err
	}
	return o.notedLift(ctx, "server "+string(name), func() (bool, error) {
		was, err := o.servers.Lift(ctx, string(name))
		return was, of(err, "breaker of server %s", name)
	})
}

// notedLift calls lift for a token or server, and notes it, even if it failed. If there was nothing to lift,
// there is no entry.
func (o *Control) notedLift(ctx context.Context, target string, lift func() (was bool, err error)) (bool, error) {
	was, err := lift()
	if was || err != nil {
		o.note(ctx, "lift", target, Outcome{}, err)
	}
	return was, err
}
