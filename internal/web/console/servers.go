package console

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"time"

	"habilita/internal/breaker"
)

// serverMeter is the share of a server's requests that failed.
func serverMeter(h breaker.ServerHealth) meter { return meterOf(h.Failures, h.Requests, 10, 50) }

type serversData struct {
	Servers []breaker.ServerHealth
	More    int // that are not shown
}

// maxServers is how many the page shows, those with most trouble first.
const maxServers = 200

func (c *Console) readServers(ctx context.Context, _ url.Values) (listing, error) {
	all, err := c.o.Servers.Servers(ctx, time.Time{})
	trouble := func(h breaker.ServerHealth) int {
		if h.State != breaker.Closed {
			return 101 // more than any share
		}
		return serverMeter(h).Percent
	}
	slices.SortStableFunc(all, func(a, b breaker.ServerHealth) int { return cmp.Compare(trouble(b), trouble(a)) })
	shown := min(maxServers, len(all))
	return listing{Data: serversData{all[:shown], len(all) - shown}}, err
}
