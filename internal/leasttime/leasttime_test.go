package leasttime

import (
	"testing"
	"time"
)

func TestTheGreatestBoundIsTheLeastTime(t *testing.T) {
	limits := Limits{Workers: 1, Concurrency: 1000, ServerConcurrency: 64, TokenSlots: 2}
	for name, c := range map[string]struct {
		load  Load
		with  func(*Limits)
		want  time.Duration
		bound Bound
	}{
		"no calls":           {Load{}, nil, 0, Nothing},
		"one chain":          {Load{10, 10, 10, 10}, nil, 10 * time.Second, Chain},
		"chains of a token":  {Load{40, 5, 40, 40}, nil, 20 * time.Second, Slots},
		"one slot":           {Load{40, 5, 40, 40}, func(l *Limits) { l.TokenSlots = 1 }, 40 * time.Second, Slots},
		"one server":         {Load{1000, 1, 1, 1000}, nil, 16 * time.Second, Server},
		"and two workers":    {Load{1000, 1, 1, 1000}, func(l *Limits) { l.Workers = 2 }, 8 * time.Second, Server},
		"many servers":       {Load{10_000, 1, 1, 100}, nil, 10 * time.Second, Concurrency},
		"and four workers":   {Load{10_000, 1, 1, 100}, func(l *Limits) { l.Workers = 4 }, 3 * time.Second, Concurrency},
		"the first of equal": {Load{2000, 2, 4, 128}, nil, 2 * time.Second, Chain},
	} {
		with := limits
		if c.with != nil {
			c.with(&with)
		}
		if got, bound := Of(c.load, with, time.Second); got != c.want || bound != c.bound {
			t.Errorf("%s: %v by %q, want %v by %q", name, got, bound, c.want, c.bound)
		}
	}
}

func TestTimeAtARate(t *testing.T) {
	for _, c := range []struct {
		calls int
		rate  float64
		want  time.Duration
	}{{100, 10, 10 * time.Second}, {104, 10, 10 * time.Second}, {106, 10, 11 * time.Second}, {1, 1000, time.Second}, {0, 10, 0}, {5, 0, 0}} {
		if got := AtRate(c.calls, c.rate); got != c.want {
			t.Errorf("%d calls at %v: %v, want %v", c.calls, c.rate, got, c.want)
		}
	}
}
