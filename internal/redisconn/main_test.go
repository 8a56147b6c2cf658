package redisconn

import (
	"habilita/internal/testkit/redistest"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	redistest.Parallel()
	redis.SetLogger(&logging.VoidLogger{}) // it tells of every failed dial
	// A pool whose dials failed looks whether its Redis is back once a second. It sees only then that it was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}
