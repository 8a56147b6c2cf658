package engine

import (
	"strings"
	"sync"
	"sync/atomic"

	"habilita/internal/ledger"
)

// hosts limits how many of a worker's requests are in flight at one server of the vendor. A chain
// whose server has no place left waits here under its dispatch number, in the order of arrival, and
// holds nothing meanwhile. A chain that is lost here comes back from the ledger.
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
	waiting []ledger.Dispatch
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

// leave passes a place on to the chain that has waited longest for it. The caller begins that chain and
// calls handed.Done. If no chain waits, the place is free.
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

// park makes a chain wait for a place at a server (parked). If one came free meanwhile, the chain gets it (placed). If
// neither, the worker stops, and another one has to take the chain.
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

// end returns all chains that wait. From then on, none can wait.
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
