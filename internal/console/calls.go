package console

import (
	"context"
	"strings"

	"habilita/internal/operator"
)

// callsPage is a page of the calls of a batch.
type callsPage struct {
	Calls []operator.CallRecord
	More  bool
}

func (f callFilter) matches(r operator.CallRecord) bool {
	return (f.State == "" || r.State == f.State) &&
		(f.Ref == "" || strings.Contains(strings.ToLower(r.Ref), strings.ToLower(f.Ref)) || r.ID == f.Ref)
}

// callsTopic reads as many calls as it takes to fill a page.
func (c *Console) callsTopic(name string, f callFilter, skip int) topic {
	return topic{f.key(name, skip), func(ctx context.Context) (any, error) {
		var p callsPage
		n := 0
		for r, err := range c.o.Operator.Report(ctx, name) {
			if err != nil {
				return nil, err
			}
			if !f.matches(r) {
				continue
			}
			if n++; n <= skip {
				continue
			}
			if len(p.Calls) == perPage {
				p.More = true
				break
			}
			p.Calls = append(p.Calls, r)
		}
		return p, nil
	}}
}
