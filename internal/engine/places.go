package engine

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"habilita/internal/ledger"
)

// hosts shares a worker's requests in flight among the vendor's servers: so many at one server at
// most. A chain whose server has no place left waits here under its dispatch number, in the order
// of arrival, and holds nothing meanwhile. Whatever is lost here comes back from the ledger.
type hosts struct {
	most  int
	full  atomic.Int64 // servers with no place left
	mu    sync.Mutex
	of    map[string]*host
	ended bool
	// handed are the chains that leave has returned, until they are cared for.
	handed sync.WaitGroup
}

type host struct {
	taken   int
	waiting []ledger.Dispatch
}

func newHosts(most int) *hosts { return &hosts{most: most, of: map[string]*host{}} }

// blocked tells the servers that have no place left, as the ledger's scripts read it, but for own.
func (h *hosts) blocked(own string) string {
	if h.full.Load() == 0 {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for server, at := range h.of {
		if at.taken >= h.most && server != own {
			b.WriteString(ledger.FullServer(server))
		}
	}
	return b.String()
}

func (h *hosts) at(server string) *host {
	at := h.of[server]
	if at == nil {
		at = &host{}
		h.of[server] = at
	}
	return at
}

// take takes a place at a server, if there is one.
func (h *hosts) take(server string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.takeLocked(server)
}

func (h *hosts) takeLocked(server string) bool {
	at := h.at(server)
	if at.taken >= h.most {
		return false
	}
	if at.taken++; at.taken == h.most {
		h.full.Add(1)
	}
	return true
}

// leave passes a place on to the chain that has waited longest for it. Its caller begins it, and tells
// handed. If none waits, the place is free.
func (h *hosts) leave(server string) (next ledger.Dispatch, waited bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.of[server]
	if len(at.waiting) > 0 {
		next, at.waiting = at.waiting[0], at.waiting[1:]
		h.handed.Add(1)
		return next, true
	}
	if at.taken == h.most {
		h.full.Add(-1)
	}
	if at.taken--; at.taken == 0 {
		delete(h.of, server)
	}
	return next, false
}

// park has a chain wait for a place at a server, unless one came free meanwhile: then that is the chain's. If neither,
// the worker stops, and the chain is for another one.
func (h *hosts) park(server string, f ledger.Dispatch) (placed, parked bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.ended:
		return false, false
	case h.takeLocked(server):
		return true, false
	}
	at := h.at(server)
	at.waiting = append(at.waiting, f)
	return false, true
}

// waits reports whether chains wait for a place at a server.
func (h *hosts) waits(server string) bool {
	if h.full.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.of[server]
	return at != nil && len(at.waiting) > 0
}

// end returns all chains that wait; none waits any more from here on.
func (h *hosts) end() []ledger.Dispatch {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	var all []ledger.Dispatch
	for _, at := range h.of {
		all = append(all, at.waiting...)
		at.waiting = nil
	}
	return all
}

// idleRuns are runs with nothing left to do in their bucket. They keep their place for a moment, and
// the dispatcher gives them chains of other buckets. That saves the three scripts of an asynq task
// for each of these chains.
type idleRuns struct {
	// more tells that chains of some bucket wait, as far as is known: without it a run ends at once.
	more atomic.Bool
	news chan struct{} // has an element if a run came
	wait time.Duration // of a run, at most
	runs atomic.Int64  // that wait now

	chains chan ledger.Dispatch // has no room: who sends knows whether a run waits
}

// idleWait is how long a run waits for a chain: a few round trips of a busy Redis.
const idleWait = 50 * time.Millisecond

func newIdleRuns() *idleRuns {
	return &idleRuns{news: make(chan struct{}, 1), wait: idleWait, chains: make(chan ledger.Dispatch)}
}

// take waits for a chain; false if there is none.
func (i *idleRuns) take(stopped <-chan struct{}) (f ledger.Dispatch, ok bool) {
	if !i.more.Load() {
		return f, false
	}
	i.runs.Add(1)
	defer i.runs.Add(-1)
	select {
	case i.news <- struct{}{}:
	default:
	}
	select {
	case f = <-i.chains:
	case <-time.After(i.wait):
	case <-stopped:
	}
	return f, f.Chain != ""
}

// give gives a chain to the run that has waited longest; false if none waits.
func (i *idleRuns) give(f ledger.Dispatch) bool {
	select {
	case i.chains <- f:
		return true
	default:
		return false
	}
}

// waiting is how many runs wait for a chain.
func (i *idleRuns) waiting() int { return int(i.runs.Load()) }

// end tells all runs that no chain waits.
func (i *idleRuns) end() {
	for i.give(ledger.Dispatch{}) {
	}
}

// places are the runs that a worker is at, at most as many as it may have requests in flight.
type places chan struct{}

// enter takes a place; false where the worker stops before there is one.
func (p places) enter(stopped <-chan struct{}) bool {
	select {
	case p <- struct{}{}:
		return true
	case <-stopped:
		return false
	}
}

func (p places) leave() { <-p }

// waitIdle takes all places, and so waits for every run. It returns how many have not ended
// when ctx does.
func (p places) waitIdle(ctx context.Context) (left int) {
	for n := range cap(p) {
		select {
		case p <- struct{}{}:
		case <-ctx.Done():
			return cap(p) - n
		}
	}
	return 0
}

const (
	// recordAtTheEnd is how long before the end of ShutdownTimeout requests are cut off, so that
	// their outcome, unknown, can still be recorded.
	recordAtTheEnd = time.Second
	// endWait is how long, after ShutdownTimeout, a stopping worker waits for what hangs in Redis.
	endWait = time.Second
	// leaveWait is how long it waits for Redis to take its leave of the others.
	leaveWait = time.Second
)

// drain ends a worker that takes no more calls. It waits for every run that this process is
// at, whatever asynq believes: after half a minute without Redis asynq has given their places
// away, and waits for none of them. end ends the loops and asynq's servers, cutOff the requests in flight, and giveUp
// the recording of outcomes. It takes ShutdownTimeout and endWait at most, however Redis
// and the vendor behave.
func (w *Worker) drain(end, cutOff, giveUp func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		end()
	}()
	defer time.AfterFunc(w.o.ShutdownTimeout-recordAtTheEnd, cutOff).Stop()
	defer time.AfterFunc(w.o.ShutdownTimeout, giveUp).Stop()
	ctx, cancel := context.WithTimeout(context.Background(), w.o.ShutdownTimeout+endWait)
	defer cancel()
	if left := w.places.waitIdle(ctx); left > 0 {
		w.hangs.Store(true)
		w.log.Error().Int("in_flight", left).Msg("the worker ends before its calls: their outcomes are unknown, and they come back after their leases")
		return
	}
	select {
	case <-ended:
	case <-ctx.Done():
		w.hangs.Store(true)
		w.log.Warn().Msg("the worker ends although Redis hangs: tasks that it had fetched come back by themselves")
	}
}

// background runs run until what it returns is called, which waits for its end.
func background(ctx context.Context, run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() { run(ctx) })
	return func() {
		cancel()
		ended.Wait()
	}
}

// every does something at intervals, as background does.
func every(ctx context.Context, interval time.Duration, do func(context.Context)) (stop func()) {
	return background(ctx, func(ctx context.Context) {
		for wait(ctx, interval); ctx.Err() == nil; wait(ctx, interval) {
			do(ctx)
		}
	})
}
