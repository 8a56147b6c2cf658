package redisconn

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

// A client like another one has its credentials, its database and its own hook of new connections,
// and is watched.
func TestLikeIsTheSameRedis(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "secret")
	connected := 0
	rdb := redis.NewClient(&redis.Options{Addr: s.Addr, Password: "secret", DB: 3, ClientName: "mine",
		OnConnect: func(context.Context, *redis.Conn) error { connected++; return nil }})
	defer func() { _ = rdb.Close() }()
	if err := rdb.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	w := NewRestartWatch(nil)
	before := connected
	like, err := Like(rdb, Options{PoolSize: 7, MaxRetries: -1, ReadTimeout: 7 * time.Second, Watch: w, Detach: true})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := like.Get(t.Context(), "k").Result(); err != nil || v != "v" {
		t.Errorf("%q, %v", v, err)
	}
	if connected == before {
		t.Error("the client's own hook was not asked")
	}
	if seen := w.Seen(); len(seen) != 1 || seen[0].RunID != runID(t, rdb) {
		t.Errorf("the watch saw %v", seen)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := like.Get(ended, "k").Err(); err != nil {
		t.Errorf("not detached: %v", err)
	}
	if err := like.Close(); err != nil {
		t.Error(err)
	}
	if err := rdb.Get(t.Context(), "k").Err(); err != nil {
		t.Errorf("the client was closed with its likeness: %v", err)
	}
}

func TestLikeIsTheSameCluster(t *testing.T) {
	t.Parallel()
	url, nodes := redistest.StartCluster(t, 3)
	rdb, err := Open(url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rdb.Close() }()
	w := NewRestartWatch(nil)
	like, err := Like(rdb, Options{Watch: w})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = like.Close() }()
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		if err := like.Set(t.Context(), key, "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if seen := w.Seen(); len(seen) != len(nodes) {
		t.Errorf("the watch saw %v", seen)
	}
}

func TestLikeRefusesWhatItCantCopy(t *testing.T) {
	failover := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{"127.0.0.1:1"}})
	routed := redis.NewFailoverClusterClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{"127.0.0.1:1"}, RouteRandomly: true})
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	for _, c := range []redis.UniversalClient{failover, routed, ring, nil} {
		if _, err := Like(c, Options{}); !errors.Is(err, ErrNotCopied) {
			t.Errorf("%T: %v", c, err)
		}
		if c != nil {
			_ = c.Close()
		}
	}
}
