package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

const (
	// fresh is how old a reading may be that is shown, and the shortest distance of two
	// reads of a thing.
	fresh = time.Second
	// idle is when a reading that nobody asks for is forgotten.
	idle = time.Minute
	// share is the part of its time that one thing is read at most: 1/share.
	share = 20
	// maxDistance is how seldom at most.
	maxDistance = 30 * time.Second
	// maxWatchers is how many may listen to one process at a time.
	maxWatchers = 64
	// maxReadings is how many readings are kept; what comes above is read for itself.
	maxReadings = 256
)

// errBusy says that as many listen as may.
var errBusy = errors.New("console: too many listeners")

// topic is a thing that can be shown, and how it is read. What read returns is never
// changed afterwards, and prints as JSON what of it is seen.
type topic struct {
	key  string
	read func(context.Context) (any, error)
}

// reading is what is known of a topic.
type reading struct {
	topic
	busy chan struct{} // closed when the read that is under way ends; nil: none is

	value any
	err   error
	seen  []byte // value as JSON, to see whether it changed
	at    time.Time
	took  time.Duration
	asked time.Time
	stale bool // something was decided since it was read, or since a read of it began

	watchers map[*watcher]bool
}

// watcher is one who listens. changed has room for one: what comes while it is full is
// the same news.
type watcher struct {
	changed chan struct{}
	topics  []topic
}

// hub keeps readings and tells those who watch them of changes.
type hub struct {
	now func() time.Time

	mu       sync.Mutex
	readings map[string]*reading
	watchers int

	ctx   context.Context // of reads for watchers; over after close
	stop  context.CancelFunc
	wake  chan struct{}
	ended chan struct{}
}

func newHub(now func() time.Time) *hub {
	h := &hub{now: now, readings: map[string]*reading{}, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

func (h *hub) start() {
	go func() {
		defer close(h.ended)
		h.poll()
	}()
}

func (h *hub) close() {
	h.stop()
	<-h.ended
}

// get returns a topic's value, not older than fresh.
func (h *hub) get(ctx context.Context, t topic) (any, error) {
	for {
		h.mu.Lock()
		if h.readings[t.key] == nil && !h.room(1) {
			h.mu.Unlock()
			return t.read(ctx)
		}
		r := h.of(t)
		r.asked = h.now()
		if !r.at.IsZero() && !r.stale && h.now().Sub(r.at) < fresh {
			value, err := r.value, r.err
			h.mu.Unlock()
			return value, err
		}
		if wait := r.busy; wait != nil {
			h.mu.Unlock()
			select {
			case <-wait:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		r.busy, r.stale = make(chan struct{}), false
		h.mu.Unlock()
		return h.refresh(ctx, r)
	}
}

// of is the reading of a topic. The caller holds mu.
func (h *hub) of(t topic) *reading {
	r := h.readings[t.key]
	if r == nil {
		r = &reading{topic: t, watchers: map[*watcher]bool{}}
		h.readings[t.key] = r
	}
	return r
}

// decided says that somebody changed something: whoever did it is to see that, so that nothing
// that was read before is shown again.
func (h *hub) decided() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.readings {
		r.stale = true
	}
}

// room reports whether n readings more can be kept, and makes room by forgetting those
// that nobody uses. The caller holds mu.
func (h *hub) room(n int) bool {
	if len(h.readings)+n <= maxReadings {
		return true
	}
	for key, r := range h.readings {
		if r.busy == nil && len(r.watchers) == 0 && h.now().Sub(r.asked) > fresh {
			delete(h.readings, key)
		}
	}
	return len(h.readings)+n <= maxReadings
}

// refresh reads and tells the watchers of a change. The caller has made r.busy.
func (h *hub) refresh(ctx context.Context, r *reading) (any, error) {
	began := time.Now()
	value, err := r.read(ctx)
	took := time.Since(began)
	var seen []byte
	if err == nil {
		seen, err = json.Marshal(value)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	done := r.busy
	r.busy = nil
	close(done)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil, err // who asked has gone: it tells nothing of Redis
	}
	changed := r.at.IsZero() && err != nil || !r.at.IsZero() && ((err == nil) != (r.err == nil) || !bytes.Equal(seen, r.seen))
	r.value, r.err, r.seen, r.took, r.at = value, err, seen, took, h.now()
	if changed {
		for w := range r.watchers {
			w.tell()
		}
	}
	return value, err
}

func (w *watcher) tell() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// watch begins to watch topics, and end ends it. It is errBusy where too many do.
func (h *hub) watch(topics []topic) (w *watcher, end func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers >= maxWatchers || !h.room(len(topics)) {
		return nil, nil, errBusy
	}
	h.watchers++
	w = &watcher{changed: make(chan struct{}, 1), topics: topics}
	for _, t := range topics {
		h.of(t).watchers[w] = true
	}
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return w, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.watchers--
		for _, t := range topics {
			if r := h.readings[t.key]; r != nil {
				delete(r.watchers, w)
				r.asked = h.now()
			}
		}
	}, nil
}

// failed returns the error of the first of a watcher's topics that has one.
func (h *hub) failed(w *watcher) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range w.topics {
		if r := h.readings[t.key]; r != nil && r.err != nil {
			return r.err
		}
	}
	return nil
}

// poll reads what is watched, one after the other, until close.
func (h *hub) poll() {
	tick := time.NewTicker(fresh / 4)
	defer tick.Stop()
	for {
		for r := h.due(); r != nil; r = h.due() {
			ctx, cancel := context.WithTimeout(h.ctx, readTimeout)
			_, _ = h.refresh(ctx, r) // who watches is told of the error
			cancel()
		}
		ticks := tick.C
		if h.unwatched() {
			ticks = nil
		}
		select {
		case <-h.ctx.Done():
			return
		case <-h.wake:
		case <-ticks:
		}
	}
}

// due takes up the reading that is watched and due, the oldest first; nil where none
// is. It forgets those that nobody asks for.
func (h *hub) due() *reading {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return nil
	}
	now := h.now()
	var oldest *reading
	for key, r := range h.readings {
		if r.busy != nil {
			continue
		}
		if len(r.watchers) == 0 {
			if now.Sub(r.asked) > idle {
				delete(h.readings, key)
			}
			continue
		}
		due := r.at.IsZero() || r.stale || now.Sub(r.at) >= r.distance()
		if due && (oldest == nil || r.at.Before(oldest.at)) {
			oldest = r
		}
	}
	if oldest != nil {
		oldest.busy, oldest.stale = make(chan struct{}), false
	}
	return oldest
}

// distance is when it is read again while it is watched. One that failed took long for
// another reason than its size.
func (r *reading) distance() time.Duration {
	if r.err != nil {
		return 2 * fresh
	}
	return min(max(fresh, share*r.took), maxDistance)
}

func (h *hub) unwatched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watchers == 0
}
