package wolkvoxtest

// gate holds requests at the start of their work, in the order of arrival. It is under Simulator.mu.
type gate struct {
	holds func(Record) bool // nil: no request is held
	held  []chan struct{}
}

func (g *gate) enter(r Record) chan struct{} {
	if g.holds == nil || !g.holds(r) {
		return nil
	}
	c := make(chan struct{})
	g.held = append(g.held, c)
	return c
}

func (g *gate) open() {
	g.holds = nil
	for _, c := range g.held {
		close(c)
	}
	g.held = nil
}

// Hold makes every request from now on wait, in flight, until Release or ReleaseOne lets it go; then the vendor works on
// it as usual. Requests that are refused, or reset before any work, are not held.
func (s *Simulator) Hold() { s.HoldIf(func(Record) bool { return true }) }

// HoldIf is Hold for those requests that match. It replaces an earlier Hold or HoldIf, and lets no request go. match runs
// under the simulator's lock.
func (s *Simulator) HoldIf(match func(Record) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.gate.holds = match
	}
}

// Release ends Hold and lets all held requests go.
func (s *Simulator) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate.open()
}

// ReleaseOne lets go the request that has been held longest, and goes on holding the others. It returns false if none is
// held.
func (s *Simulator) ReleaseOne() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.gate.held) == 0 {
		return false
	}
	close(s.gate.held[0])
	s.gate.held = s.gate.held[1:]
	return true
}

// Held returns how many requests are held. A request is held as soon as the account shows its arrival.
func (s *Simulator) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.gate.held)
}
