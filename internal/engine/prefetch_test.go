package engine

import (
	"testing"
	"time"
)

func TestPrefetchFollowsTheTasksThatBegin(t *testing.T) {
	var p prefetch
	now := time.Now()
	begun := int64(0)
	tell := func(rate, times int) {
		for range times {
			now = now.Add(prefetchEvery)
			begun += int64(rate) * prefetchEvery.Milliseconds() / 1000
			p.note(now, begun)
		}
	}
	p.note(now, 0)
	for _, c := range []struct{ rate, want int }{{0, minAhead}, {2000, 20}, {100_000, 32}, {100, minAhead}} {
		tell(c.rate, 20)
		if got := p.ahead(64); got < c.want-1 || got > c.want {
			t.Errorf("at %d tasks a second %d wait, want %d", c.rate, got, c.want)
		}
	}
	if got := p.ahead(1); got != minAhead {
		t.Errorf("a worker of one place: %d", got)
	}
}
