package engine

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"habilita/internal/ledger"
)

// hosts limits how many of a worker's requests are in flight at one server of the vendor. A chain
// whose server has no place left waits here under its dispatch number and holds nothing meanwhile.
// A chain that is lost here comes back from the ledger.
type hosts struct {
	most  int
	full  atomic.Int64 // servers with no place left
	mu    sync.Mutex
	of    map[string]*host
	ended bool
	// handed counts the chains that leave has returned, until their caller has seen to them.
	handed sync.WaitGroup
}

type host struct {
	taken   int
	waiting []*waiter          // who has waited longest is the first
	of      map[string]*waiter // by chain
}

type waiter struct {
	ledger.Dispatch
	since time.Time
}

func newHosts(most int) *hosts { return &hosts{most: most, of: map[string]*host{}} }

// blocked returns the servers that have no place left, except own, as the ledger's scripts read them.
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
		at = &host{of: map[string]*waiter{}}
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

// leave passes a place on to the chain that has waited longest for it. The caller begins that chain and
// calls handed.Done. If no chain waits, the place is free.
func (h *hosts) leave(server string) (next ledger.Dispatch, waited bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.of[server]
	if len(at.waiting) > 0 {
		next, at.waiting = at.waiting[0].Dispatch, at.waiting[1:]
		delete(at.of, next.Chain)
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

// park makes a chain wait for a place at a server (parked), behind those that have waited for longer. A chain that waits here
// already, and was dispatched anew, keeps its place. If one came free meanwhile, the chain gets it (placed). If
// neither, the worker stops, and another one has to take the chain.
func (h *hosts) park(server string, f ledger.Dispatch, since time.Time) (placed, parked bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.ended:
		return false, false
	case h.takeLocked(server):
		return true, false
	}
	at := h.at(server)
	if w := at.of[f.Chain]; w != nil {
		w.Dispatch = f
		return false, true
	}
	i, _ := slices.BinarySearchFunc(at.waiting, since, func(w *waiter, since time.Time) int {
		return cmp.Or(w.since.Compare(since), -1) // behind those of the same time
	})
	at.of[f.Chain] = &waiter{f, since}
	at.waiting = slices.Insert(at.waiting, i, at.of[f.Chain])
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

// end returns all chains that wait. From then on, none can wait.
func (h *hosts) end() []ledger.Dispatch {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	var all []ledger.Dispatch
	for _, at := range h.of {
		for _, w := range at.waiting {
			all = append(all, w.Dispatch)
		}
		at.waiting = nil
	}
	return all
}
