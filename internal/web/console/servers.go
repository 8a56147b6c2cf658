package console

import (
	"cmp"
	"context"
	"slices"
	"time"

	"habilita/internal/breaker"
)

// serverView is one of the vendor's servers as the page shows it.
type serverView struct{ breaker.ServerHealth }

// Percent is the share of requests that failed, rounded up: one failure is never 0.
func (v serverView) Percent() int {
	if v.Requests <= 0 {
		return 0
	}
	return min(100, (v.Failures*100+v.Requests-1)/v.Requests)
}

// Width is the share in thousandths, for the bar.
func (v serverView) Width() int { return v.Percent() * 10 }

// Level is ok, near or used, as a bar is coloured.
func (v serverView) Level() string {
	switch p := v.Percent(); {
	case p >= 50:
		return "used"
	case p >= 10:
		return "near"
	}
	return "ok"
}

// Down reports whether its calls are put off.
func (v serverView) Down() bool { return v.State != breaker.Closed }

type serversData struct {
	Servers []serverView
	More    int // that are not shown
}

// maxServers is how many the page shows, those with most trouble first.
const maxServers = 200

func (c *Console) serversTopic() topic {
	return topic{"servers", func(ctx context.Context) (any, error) {
		all, err := c.o.Servers.Servers(ctx, time.Time{})
		if err != nil {
			return nil, err
		}
		var d serversData
		for _, h := range all {
			d.Servers = append(d.Servers, serverView{h})
		}
		trouble := func(v serverView) int {
			if v.Down() {
				return 101 // more than any share
			}
			return v.Percent()
		}
		slices.SortStableFunc(d.Servers, func(a, b serverView) int { return cmp.Compare(trouble(b), trouble(a)) })
		if len(d.Servers) > maxServers {
			d.More, d.Servers = len(d.Servers)-maxServers, d.Servers[:maxServers]
		}
		return listing{Data: d}, nil
	}}
}
