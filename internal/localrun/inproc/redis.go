package inproc

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// expireEvery is the distance of two removals of keys that have expired.
const expireEvery = 500 * time.Millisecond

// Redis is a Redis in memory. Close it. It is safe for concurrent use.
type Redis struct {
	m    *miniredis.Miniredis
	url  string
	stop context.CancelFunc
	done sync.WaitGroup
}

// Open starts a Redis that only Dial reaches. Its URL has clients wait long for an answer: it can't be away, but it may
// have much to do.
func Open() *Redis {
	return begin(&Redis{m: miniredis.NewMiniRedis(), url: "redis://127.0.0.1:6379/0?read_timeout=5m"})
}

// Listen starts a Redis on a free port of loopback, which every user of this machine can
// reach. The error is that of listening.
func Listen() (*Redis, error) {
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		return nil, fmt.Errorf("in-process Redis: %w", err)
	}
	return begin(&Redis{m: m, url: "redis://" + m.Addr() + "/0"}), nil
}

func begin(r *Redis) *Redis {
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.done.Go(func() { r.expire(ctx) })
	return r
}

// URL is its address; of one that does not listen it leads nowhere but through Dial.
func (r *Redis) URL() string { return r.url }

// Dial makes a connection in memory, whatever the address is: for redis.Options.Dialer.
func (r *Redis) Dial(context.Context, string, string) (net.Conn, error) {
	c, err := r.m.Dial()
	if err != nil {
		return nil, err
	}
	return Queue(c, nil), nil
}

// expire lets time pass for keys with a time to live: miniredis counts it down only when
// it is told. (Its own following of the clock walks over all such keys at every command.)
func (r *Redis) expire(ctx context.Context) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			r.m.FastForward(now.Sub(last))
			last = now
		}
	}
}

// Close ends it and forgets everything. Close its clients first.
func (r *Redis) Close() {
	r.stop()
	r.done.Wait()
	r.m.Close()
}
