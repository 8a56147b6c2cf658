package membership

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// Lead reports whether the process me leads: of many, the one that does what one is enough for. It leads for
// the lease, and for longer each time that it asks. Another one leads when its lease has ended. For a moment
// two may, so what they do must bear that.
func Lead(ctx context.Context, rdb redis.UniversalClient, key, me string, lease time.Duration) (bool, error) {
	won, err := rdb.SetNX(ctx, key, me, lease).Result()
	if err != nil || won {
		return won, err
	}
	who, err := rdb.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) || err == nil && who != me {
		return false, nil // a key that has just gone is another's to take
	}
	if err != nil {
		return false, err
	}
	return true, rdb.PExpire(ctx, key, lease).Err()
}
