package redistest

import (
	"flag"
	"runtime"
	"strings"
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
	DB     int    // the test's database
	URL    string // of both
	// SetTime sets what TIME answers; nil on the real Redis.
	SetTime func(time.Time)
	Mini    *miniredis.Miniredis // nil on the real Redis
	Server  *Server              // of BothOwn; nil on miniredis
}

// Mini starts a miniredis that ends with the test.
func Mini(tb testing.TB) *miniredis.Miniredis {
	tb.Helper()
	return miniredis.RunT(tb)
}

// Both runs f as a subtest on a miniredis of its own, and on a database of the shared real Redis (see
// Shared). It skips the latter if there is no redis-server.
func Both(t *testing.T, f func(t *testing.T, b Backend)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) { f(t, onMini(t)) })
	t.Run("redis", func(t *testing.T) { f(t, Shared(t)) })
}

// BothOwn is Both with a real Redis that no other test uses, with the given arguments.
func BothOwn(t *testing.T, f func(t *testing.T, b Backend), args ...string) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) { f(t, onMini(t)) })
	t.Run("redis", func(t *testing.T) {
		s := Start(t, args...)
		f(t, Backend{Name: "redis", Client: s.Client(), Addr: s.Addr, URL: s.URL, Server: s})
	})
}

func onMini(t *testing.T) Backend {
	m := Mini(t)
	c := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	return Backend{Name: "miniredis", Client: c, Addr: m.Addr(), URL: "redis://" + m.Addr() + "/0", SetTime: m.SetTime, Mini: m}
}

// Spoil makes all keys that begin with a prefix refuse their commands, as the keys of a cluster's node
// that is away do. It also makes the keys prefix+name, if they are missing.
func Spoil(m *miniredis.Miniredis, prefix string, names ...string) error {
	keys := m.Keys()
	for _, name := range names {
		keys = append(keys, prefix+name)
	}
	for _, key := range keys {
		if strings.HasPrefix(key, prefix) {
			m.Del(key)
			if err := m.Set(key, "spoilt"); err != nil {
				return err
			}
		}
	}
	return nil
}

// Parallel is for the TestMain of a package whose parallel tests mostly wait in real time, for leases
// and for nodes of Redis. It lets eight of them run at once even on small machines, unless -parallel
// is given.
func Parallel() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given && runtime.GOMAXPROCS(0) < 8 {
		_ = flag.Set("test.parallel", "8")
	}
}
