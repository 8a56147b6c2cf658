package redistest

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Backend is one Redis of Both, empty when the test begins.
type Backend struct {
	Name   string // "miniredis" or "redis"
	Client redis.UniversalClient
	Addr   string // host:port
	// SetTime sets what TIME answers; nil on the real Redis.
	SetTime func(time.Time)
	Mini    *miniredis.Miniredis // nil on the real Redis
	Server  *Server              // nil on miniredis
}

// Mini starts a miniredis that ends with the test.
func Mini(tb testing.TB) *miniredis.Miniredis {
	tb.Helper()
	return miniredis.RunT(tb)
}

// Both runs f as a subtest on miniredis, and on a real Redis with the given
// arguments (skipped where there is none). Each call has a fresh server of
// either kind.
func Both(t *testing.T, f func(t *testing.T, b Backend), args ...string) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		m := Mini(t)
		c := redis.NewClient(&redis.Options{Addr: m.Addr()})
		t.Cleanup(func() { _ = c.Close() })
		f(t, Backend{Name: "miniredis", Client: c, Addr: m.Addr(), SetTime: m.SetTime, Mini: m})
	})
	t.Run("redis", func(t *testing.T) {
		s := Start(t, args...)
		f(t, Backend{Name: "redis", Client: s.Client(), Addr: s.Addr, Server: s})
	})
}
