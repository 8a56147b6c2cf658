package redisconn

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// movingFor is how long a client of a cluster bears that a hash slot is being moved: many times what
// a bucket takes, and short enough that a slot which is left open does not hold up for long what
// shares a pipeline with it.
const movingFor = time.Second

// bearMoves has a client of a cluster repeat what was refused because a hash slot is being moved.
// Such a command did nothing. Of a pipeline only those commands are repeated.
func bearMoves(c redis.UniversalClient) {
	if _, ok := c.(*redis.ClusterClient); ok {
		c.AddHook(patience{most: movingFor, passes: moving})
	}
}

// moving reports whether a command ran on neither node, since its slot is being moved from the one
// to the other.
func moving(err error) bool {
	return begins(err, "TRYAGAIN", "ASK", "MOVED")
}
