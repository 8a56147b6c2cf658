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
	goleak.VerifyTestMain(m)
}
