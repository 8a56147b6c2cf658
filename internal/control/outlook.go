package control

import (
	"context"
	"time"

	"habilita/internal/quota"
)

// Outlook says what open calls wait for that does not come today.
type Outlook struct {
	Held     []Chain   // wait for a person
	Tomorrow []Chain   // wait for the vendor's next day: their quota is used up, by our count or by its word
	Next     time.Time // when the first of Tomorrow is tried again; zero: there is none
	Over     bool      // nothing more of the batch can run today
}

// Outlook looks at all chains of the ledger, which are to be those of one batch: s are its
// counts. A token that the vendor has closed for the day is one for tomorrow, although it
// is probed gently before.
func (o *Control) Outlook(ctx context.Context, s Status) (Outlook, error) {
	var out Outlook
	closed, err := o.closedToday(ctx)
	if err != nil {
		return out, err
	}
	open := s.Open
	for c, err := range o.Chains(ctx, false) {
		switch {
		case err != nil:
			return out, err
		case c.Held():
			out.Held = append(out.Held, c)
			open -= c.Behind
		case c.Reason == string(quota.ReasonQuota) || c.Reason == string(quota.ReasonCooling) && closed[c.TokenID]:
			out.Tomorrow = append(out.Tomorrow, c)
			open -= 1 + c.Behind
			if !c.Until.IsZero() && (out.Next.IsZero() || c.Until.Before(out.Next)) {
				out.Next = c.Until.Time
			}
		}
	}
	out.Over = open <= 0
	return out, nil
}

// closedToday are the tokens that the vendor takes no more today, as it said.
func (o *Control) closedToday(ctx context.Context) (map[string]bool, error) {
	rows, err := o.Quota(ctx)
	if err != nil {
		return nil, err
	}
	closed := map[string]bool{}
	for _, r := range rows {
		if !r.CoolingUntil.IsZero() && !r.CoolingUntil.Before(r.NextDayAt.Time) {
			closed[r.TokenID] = true
		}
	}
	return closed, nil
}
