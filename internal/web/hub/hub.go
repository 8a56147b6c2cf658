// Package hub shares what is read among all who look at the same thing: on pages, or in requests that wait.
//
//	          first asked for, or watched and due
//	(unknown) ────────────────────────────────────▶ read, at a time
//	                                                 │  ▲
//	                          older than fresh, and  │  │ the next read, by the
//	                          asked for or watched   ▼  │ first who wants it
//	                                                stale
//
// At most one read of a thing is under way, and none while nobody looks.
package hub

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
	// Patience is how long a page waits for a read.
	Patience = 8 * time.Second
	// maxDistance is the longest time between two reads of a thing that is watched.
	maxDistance = 30 * time.Second
	// maxReadings is how many readings are kept. Further things are read without sharing.
	maxReadings = 256
)

// Topic is a thing that can be looked at, and how it is read. What Read returns is never
// changed afterwards, and its JSON has everything that is seen of it.
type Topic struct {
	Key   string
	Read  func(context.Context) (any, error)
	Since time.Time // a read that began before does not count; zero: all count
}

// Hub shares readings. It is safe for concurrent use.
type Hub struct {
	now   func() time.Time
	fresh time.Duration
	share int

	mu sync.Mutex
	by map[string]*reading
}

// reading is one read of a topic. All but asked is set when it is done, and under Hub.mu.
type reading struct {
	done  chan struct{} // closed when it is done
	value any
	err   error
	seen  string // differs if what is seen of value differs
	began time.Time
	at    time.Time // zero: it is under way
	asked time.Time // when somebody wanted it last
}

// New makes a Hub. fresh is how old a reading that is shown may be, and the shortest time between two
// reads of a thing. For those who watch it, it is read for at most 1/share of the time.
func New(now func() time.Time, fresh time.Duration, share int) *Hub {
	return &Hub{now: now, fresh: fresh, share: share, by: map[string]*reading{}}
}

// Get returns what was read of a topic, no longer ago than fresh. For those who watch the topic it may be older: a thing
// that takes long is read less often for them. The error is the read's, or ctx's.
func Get[T any](ctx context.Context, h *Hub, t Topic, watched bool) (value T, err error) {
	r, err := h.get(ctx, t, watched)
	if err == nil {
		value, _ = r.value.(T)
	}
	return value, err
}

// get returns a reading. If its read is under way, it waits for that.
func (h *Hub) get(ctx context.Context, t Topic, watched bool) (*reading, error) {
	for {
		h.mu.Lock()
		r := h.by[t.Key]
		begin := r == nil || h.over(r, watched) || !r.at.IsZero() && r.began.Before(t.Since)
		if begin {
			r = &reading{done: make(chan struct{}), began: h.now()}
			h.keep(t.Key, r)
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
		if !r.at.IsZero() && !r.began.Before(t.Since) {
			return r, r.err
		} // else the one who read it has gone, or it is too old
	}
}

// keep keeps a reading, if there is room. It forgets those that nobody wanted lately, but not before their time is over:
// one that took long stays longer. The caller holds mu.
func (h *Hub) keep(key string, r *reading) {
	now := h.now()
	maps.DeleteFunc(h.by, func(_ string, old *reading) bool { return now.Sub(old.asked) >= 2*h.fresh && h.over(old, true) })
	if len(h.by) < maxReadings || h.by[key] != nil {
		h.by[key] = r
	}
}

func (h *Hub) read(ctx context.Context, t Topic, r *reading) {
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if r.at.IsZero() {
			maps.DeleteFunc(h.by, func(_ string, kept *reading) bool { return kept == r })
		}
		close(r.done)
	}()
	value, err := t.Read(ctx)
	done := h.now()
	var seen []byte
	if err == nil {
		seen, err = json.Marshal(value)
	}
	sum := sha256.Sum256(seen)
	h.mu.Lock()
	defer h.mu.Unlock()
	r.value, r.err, r.seen = value, err, string(sum[:])
	if !errors.Is(err, context.Canceled) || ctx.Err() == nil { // else the caller has gone, which says nothing about Redis
		r.at = done
	}
}

// Forget is for use after a decision. The person must see what it did, so nothing that was read before, or is being
// read, is shown again.
func (h *Hub) Forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.by)
}

// Away is the state of several topics if one of them can't be read.
const Away = "away"

// State returns a text that differs when what can be seen of the topics differs, or Away.
func (h *Hub) State(ctx context.Context, topics []Topic) string {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	var all strings.Builder
	for _, t := range topics {
		r, err := h.get(ctx, t, true)
		if err != nil {
			return Away
		}
		all.WriteString(r.seen)
	}
	return all.String()
}

// over reports whether a thing has to be read again. The caller holds mu.
func (h *Hub) over(r *reading, watched bool) bool {
	limit := h.fresh
	switch {
	case r.at.IsZero():
		return false
	case !watched:
	case r.err != nil: // it took long for another reason than its size
		limit = 2 * h.fresh
	default:
		limit = min(max(h.fresh, time.Duration(h.share)*r.at.Sub(r.began)), maxDistance)
	}
	return h.now().Sub(r.at) >= limit
}
