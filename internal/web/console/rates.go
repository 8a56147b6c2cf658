package console

import (
	"sync"
	"time"
)

// How far back a rate looks, and how old the last look may be for there to be one.
const (
	rateWindow = 15 * time.Second
	rateMemory = 2 * time.Minute
)

// rates tells how fast batches go, from what was seen of them before.
type rates struct {
	mu   sync.Mutex
	seen map[string][]sight
}

type sight struct {
	at   time.Time
	done int
}

func newRates() *rates { return &rates{seen: map[string][]sight{}} }

// note notes how many calls of a batch succeeded, and returns how many do in a second;
// it is not known where the batch is seen for the first time. What failed, was skipped or
// cancelled is no basis for a rate: it may all end at once.
func (r *rates) note(name string, done int, at time.Time) (perSecond float64, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for other, s := range r.seen {
		if at.Sub(s[len(s)-1].at) > rateMemory {
			delete(r.seen, other)
		}
	}
	all := r.seen[name]
	// One that is older than the window is kept: it is where the rate is measured from.
	for len(all) > 1 && at.Sub(all[1].at) >= rateWindow {
		all = all[1:]
	}
	if n := len(all); n == 0 || at.Sub(all[n-1].at) >= fresh/2 {
		all = append(all, sight{at, done})
	}
	r.seen[name] = all
	first := all[0]
	passed := at.Sub(first.at)
	if passed < fresh/2 {
		return 0, false
	}
	return max(0, float64(done-first.done)/passed.Seconds()), true
}
