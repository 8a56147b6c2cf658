package quota_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/quota"
)

// nameOf makes the name of a token: the same for the same token and key, and of no
// use to who has the name alone. The key is random, kept secret and never changed.
func nameOf(key []byte, token string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(token))
	name := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac.Sum(nil)[:20])
	return strings.ToLower(name)
}

func Example_name() {
	name := nameOf([]byte("an example, not a key"), "7b7d343632302d")
	fmt.Println(len(name), len(quota.Tag(name)))
	// Output: 32 2
}

// One request: acquired, sent, and released only where the vendor answered.
func Example() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	limiter, err := quota.New(rdb, quota.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	grant, err := limiter.Acquire(ctx, nameOf([]byte("an example, not a key"), "7b7d343632302d"))
	if no, ok := errors.AsType[*quota.NotNowError](err); ok {
		fmt.Println("later:", no.Decision.Reason, no.Decision.RetryAt)
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	switch answered, sent := send(ctx); {
	case answered:
		_, _, err = limiter.Release(ctx, grant)
	case !sent:
		_, _, err = limiter.GiveBack(ctx, grant)
	default:
		// Unknown: the vendor may still work on it. The slot stays taken.
	}
	if err != nil {
		fmt.Println(err) // the slot is free when the lease ends
	}
}

func send(context.Context) (answered, sent bool) { return true, true }
