package console

import (
	"context"

	"habilita/internal/control"
)

// callsPage is a page of the calls of a batch.
type callsPage struct {
	Calls  []control.CallRecord
	Next   string // cursor; "" is the last one
	Unread int    // parts of the ledger that could not be read
}

// maxLooks is how often a page looks on where few calls are what is looked for; each
// look is at some ten thousand calls.
const maxLooks = 4

// callsTopic reads as many calls as it takes to fill a page, or as many as may be
// looked at for one.
func (c *Console) callsTopic(name string, f callFilter, cursor string) topic {
	return topic{f.key(name, cursor), func(ctx context.Context) (any, error) {
		p := callsPage{Next: cursor}
		for range maxLooks {
			found, err := c.o.Operator.CallsPage(ctx, name, control.CallsQuery{
				Cursor: p.Next, Limit: perPage - len(p.Calls), State: f.State, Ref: f.Ref,
			})
			if err != nil {
				return nil, err
			}
			p.Unread += found.Unread
			p.Calls, p.Next = append(p.Calls, found.Items...), found.Next
			if p.Next == "" || len(p.Calls) >= perPage {
				break
			}
		}
		return p, nil
	}}
}
