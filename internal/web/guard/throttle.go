package guard

import (
	"math"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The rate at which one address may give wrong keys.
const (
	// WrongKeys is how many an address may give at once.
	WrongKeys = 10
	// wrongEvery is how often it may give another one then.
	wrongEvery = 6 * time.Second
	// maxAddresses bounds the memory: throttle remembers at most twice as many.
	maxAddresses = 4096
)

// throttle counts the wrong keys of each address. A right key is never throttled: keys are
// too long to be guessed, and behind a proxy all callers have one address, where a program
// with an old key must not lock out the others.
type throttle struct {
	mu sync.Mutex
	// When recent is full it becomes older, and what was older is forgotten.
	recent, older map[netip.Prefix]*rate.Limiter
}

// wrong notes a wrong key. It returns 0 if the address may give more of them, else how long
// it has to wait.
func (t *throttle) wrong(remote string, now time.Time) time.Duration {
	l := t.of(address(remote))
	if l.AllowN(now, 1) {
		return 0
	}
	return time.Duration((1 - l.TokensAt(now)) * float64(wrongEvery))
}

func (t *throttle) of(from netip.Prefix) *rate.Limiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.recent[from]; l != nil {
		return l
	}
	l := t.older[from]
	if l == nil {
		l = rate.NewLimiter(rate.Every(wrongEvery), WrongKeys)
	}
	if t.recent == nil || len(t.recent) >= maxAddresses {
		t.older, t.recent = t.recent, map[netip.Prefix]*rate.Limiter{}
	}
	t.recent[from] = l
	return l
}

// address is who is counted: an IPv4 address, or the /64 that an IPv6 host may choose from.
// What is no address is counted together.
func address(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits) // bits are right
	return p
}

// retryAfter is a time to wait as the header has it: whole seconds, at least one.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}
