package breaker

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/nudge"
)

// Monitor is a worker's view of the servers, and what it saw of them. Run keeps it
// current; without Run, nothing is ever put off. It is safe for concurrent use.
type Monitor struct {
	store *Store
	lasts time.Duration    // a probe, from its permission until its outcome is reported, at most
	now   func() time.Time // by the clock of Redis
	log   zerolog.Logger
	soon  chan struct{} // a server may be down, or a probe has ended

	mu      sync.Mutex
	seen    map[string]*seen
	down    map[string]int64 // servers that are not closed -> put off until, ms
	permits map[string]bool  // may be probed by this worker
	counts  map[State]int
}

// NewMonitor makes a Monitor. lasts is the longest that a probe takes, from its permission until its outcome is
// reported. now is the clock of Redis. NewMonitor asks nothing of Redis.
func NewMonitor(s *Store, lasts time.Duration, now func() time.Time, log zerolog.Logger) *Monitor {
	return &Monitor{store: s, lasts: lasts, now: now, log: log, soon: make(chan struct{}, 1), seen: map[string]*seen{}, permits: map[string]bool{}}
}

// refreshEvery is how often the view is refreshed, and what was seen is reported.
const refreshEvery = time.Second

// halfOpenWait is how long calls are put off while a probe is under way: they go on soon
// after it succeeded.
const halfOpenWait = 5 * time.Second

// Run refreshes the view and reports, until ctx ends; then it reports what is left.
func (m *Monitor) Run(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for failed := false; ; {
		err := m.Refresh(ctx)
		if err != nil && !failed && ctx.Err() == nil {
			m.log.Warn().Err(err).Msg("the state of the vendor's servers is not known; trying again")
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = m.report(last) // lost, it costs a later switch
			return
		case <-tick.C:
		case <-m.soon:
		}
	}
}

// Refresh reports what was seen, and refreshes the view.
func (m *Monitor) Refresh(ctx context.Context) error {
	if err := m.report(ctx); err != nil {
		return err
	}
	now := m.now()
	all, err := m.store.Servers(ctx, now)
	if err != nil {
		return err
	}
	down, counts := map[string]int64{}, map[State]int{}
	for _, h := range all {
		counts[h.State]++
		if h.State == Closed {
			continue
		}
		until := h.NextProbe
		if h.State == HalfOpen && until.After(now.Add(halfOpenWait)) {
			until = now.Add(halfOpenWait)
		}
		if !now.Before(h.NextProbe) {
			given, err := m.store.ask(ctx, h.Server, m.lasts)
			if err != nil {
				return err
			}
			if given {
				m.mu.Lock()
				m.permits[h.Server] = true
				m.mu.Unlock()
			}
			until = now.Add(halfOpenWait)
		}
		down[h.Server] = until.UnixMilli()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down, m.counts = down, counts
	maps.DeleteFunc(m.permits, func(server string, _ bool) bool { return down[server] == 0 })
	return nil
}

func (m *Monitor) report(ctx context.Context) error {
	m.mu.Lock()
	all := m.seen
	m.seen = map[string]*seen{}
	m.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	switched, err := m.store.tell(ctx, all)
	for server, to := range switched {
		if to == Open {
			m.log.Warn().Str("server", server).Msg("the vendor's server is down: its calls are put off, and it is probed")
		} else {
			m.log.Info().Str("server", server).Msg("the vendor's server answers again")
		}
	}
	return err
}

// Observe notes the end of a request. answered is false if no readable answer came. probe
// says that the request was made under a permission to probe.
func (m *Monitor) Observe(server, chain string, answered, probe bool) {
	m.mu.Lock()
	v := m.seen[server]
	if v == nil {
		v = &seen{}
		m.seen[server] = v
	}
	v.requests++
	if answered {
		v.answered, v.tail, v.chains, v.probeFailed = true, 0, v.chains[:0], false
	} else {
		v.failures++
		v.tail++
		v.probeFailed = v.probeFailed || probe
		if len(v.chains) < openChains && !slices.Contains(v.chains, chain) {
			v.chains = append(v.chains, chain)
		}
	}
	now := probe || v.tail == openFailures
	m.mu.Unlock()
	if now {
		nudge.Send(m.soon)
	}
}

// Blocked returns the servers whose calls are to be put off, each with the time until when
// (ms), as the ledger's scripts read them: "0042=1732400000000 0017=... "; "" for none. If a
// server may be probed, it is left out this once, and probe is its name. The caller gives
// the permission back (Unused) unless the call that it then begins is at that server.
func (m *Monitor) Blocked() (text, probe string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for probe = range m.permits {
		delete(m.permits, probe)
		break
	}
	var b strings.Builder
	for server, until := range m.down {
		if server != probe {
			b.WriteString(server + "=" + strconv.FormatInt(until, 10) + " ")
		}
	}
	return b.String(), probe
}

// Unused gives back a permission that Blocked gave.
func (m *Monitor) Unused(probe string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down[probe] != 0 {
		m.permits[probe] = true
	}
}

// Counts are how many servers are in each state, at the last refresh.
func (m *Monitor) Counts() map[State]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return map[State]int{Closed: m.counts[Closed], Open: m.counts[Open], HalfOpen: m.counts[HalfOpen]}
}
