package console

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"
)

const (
	// fresh is how old a reading may be that is shown, and the shortest distance of two
	// reads of a thing.
	fresh = time.Second
	// share is the part of its time that one thing is read at most for those who watch it: 1/share.
	share = 20
	// maxDistance is how seldom at most.
	maxDistance = 30 * time.Second
	// maxReadings is how many readings are kept; what comes above is read for itself.
	maxReadings = 256
)

// topic is a thing that can be shown, and how it is read. What read returns is never
// changed afterwards, and prints as JSON what of it is seen.
type topic struct {
	key  string
	read func(context.Context) (any, error)
}

// reading is one read of a topic. All but asked is set when it is done.
type reading struct {
	done  chan struct{} // closed when it is done
	value any
	err   error
	seen  string // tells value from others that are seen otherwise
	at    time.Time
	took  time.Duration
	asked time.Time // when somebody wanted it last; guarded by hub.mu
}

// hub shares readings among all who look at the same things.
type hub struct {
	now func() time.Time

	mu sync.Mutex
	by map[string]*reading
}

func newHub(now func() time.Time) *hub { return &hub{now: now, by: map[string]*reading{}} }

// get returns a reading of the topic that is not older than fresh; or, for one who watches it, than its
// distance. If its read is under way, it waits for that. The error is the reading's, or ctx's.
func (h *hub) get(ctx context.Context, t topic, watched bool) (*reading, error) {
	for {
		h.mu.Lock()
		r := h.by[t.key]
		begin := r == nil || r.over(h.now(), watched)
		if begin {
			r = &reading{done: make(chan struct{})}
			h.keep(t.key, r)
		}
		r.asked = h.now()
		h.mu.Unlock()
		if begin {
			h.read(ctx, t, r)
			return r, r.err
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !r.at.IsZero() {
			return r, r.err
		} // who read it has gone
	}
}

// keep keeps a reading, if there is room. It forgets those that nobody wanted lately; one that took long stays for its
// distance. The caller holds mu.
func (h *hub) keep(key string, r *reading) {
	now := h.now()
	maps.DeleteFunc(h.by, func(_ string, old *reading) bool { return now.Sub(old.asked) >= 2*fresh && old.over(now, true) })
	if len(h.by) < maxReadings || h.by[key] != nil {
		h.by[key] = r
	}
}

func (h *hub) read(ctx context.Context, t topic, r *reading) {
	defer close(r.done)
	began := time.Now()
	value, err := t.read(ctx)
	took := time.Since(began)
	var seen []byte
	if err == nil {
		seen, err = json.Marshal(value)
	}
	r.value, r.err, r.took = value, err, took
	if errors.Is(err, context.Canceled) && ctx.Err() != nil { // who asked has gone: it tells nothing of Redis
		h.mu.Lock()
		defer h.mu.Unlock()
		maps.DeleteFunc(h.by, func(_ string, kept *reading) bool { return kept == r })
		return
	}
	sum := sha256.Sum256(seen)
	r.seen, r.at = string(sum[:]), h.now()
}

// decided says that somebody changed something: who did it is to see that, so nothing that was read
// before, or is being read, is shown again.
func (h *hub) decided() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.by)
}

// away is the state of topics of which one can't be read.
const away = "away"

// state tells what can be seen of topics from what could be before.
func (h *hub) state(ctx context.Context, topics []topic) string {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var all strings.Builder
	for _, t := range topics {
		r, err := h.get(ctx, t, true)
		if err != nil {
			return away
		}
		all.WriteString(r.seen)
	}
	return all.String()
}

func (r *reading) isDone() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// over reports whether it has to be read again.
func (r *reading) over(now time.Time, watched bool) bool {
	limit := fresh
	switch {
	case !r.isDone():
		return false
	case !watched:
	case r.err != nil: // it took long for another reason than its size
		limit = 2 * fresh
	default:
		limit = min(max(fresh, share*r.took), maxDistance)
	}
	return now.Sub(r.at) >= limit
}
