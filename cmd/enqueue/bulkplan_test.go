package main

import (
	"testing"
	"time"

	"habilita/internal/config"
)

func TestPlanBounds(t *testing.T) {
	for _, c := range []struct {
		name                       string
		tokens, chains, calls, lic int // chains of each token, calls of each chain
		workers                    int
		seconds                    float64
		days                       int
		bound                      string
	}{
		{"chain", 3, 1, 10, 0, 1, 20, 1, "chain"},
		{"slots", 1, 10, 5, 0, 1, 50, 1, "slots"},
		{"concurrency", 100, 1, 2, 0, 1, 100, 1, "concurrency"},
		{"two workers", 100, 1, 2, 0, 2, 50, 1, "concurrency"},
		{"days", 1, 1, 2001, 1, 1, 4002, 3, "chain"},
		{"licences", 1, 1, 2001, 3, 1, 4002, 1, "chain"},
		{"none", 0, 0, 0, 0, 1, 0, 0, ""},
	} {
		all := planned{map[uint64]*plannedToken{}, map[uint64]int{}}
		for tok := range c.tokens {
			for ch := range c.chains {
				for range c.calls {
					all.add(uint64(tok), uint64(tok*1000+ch), c.lic)
				}
			}
		}
		got := all.plan(planFlags{2 * time.Second, c.workers}, config.Settings{Concurrency: 4, TokenSlots: 2, DefaultLicenses: 1})
		if got.Seconds != c.seconds || got.QuotaDays != c.days || got.Bound != c.bound {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
