package localrun

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/localrun/inproc"
	"habilita/internal/redisconn"
)

// The Redis inside the process can't be away: a job on a busy machine waits for its answers.
func TestRedisInsideIsWaitedFor(t *testing.T) {
	listens, err := inproc.Listen()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*inproc.Redis{inproc.Open(), listens} {
		defer r.Close()
		c, err := redisconn.Open(r.URL(), redisconn.Options{Dialer: r.Dial})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if one, ok := c.(*redis.Client); !ok || one.Options().ReadTimeout < time.Minute {
			t.Errorf("%v", c)
		}
	}
}
