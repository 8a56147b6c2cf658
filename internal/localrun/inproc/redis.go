// Package inproc is a Redis inside this process, for jobs that have none: the demo and
// `enqueue run`. It is miniredis: the same scripts run on it as on a real one.
//
// It keeps nothing on disk: its user writes down what must outlive the process.
// All of it is in memory, with no limit of its own. Its clock is the machine's wall clock.
// Keys whose time to live is over are removed within half a second; scripts that compare
// times themselves see the time of each command.
//
// If it does not listen, it has no port, and nothing outside the process can reach it.
package inproc

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"habilita/internal/nudge"
)

// expireEvery is the time between two removals of expired keys.
const expireEvery = 500 * time.Millisecond

// Redis is a Redis in memory. Close it. It is safe for concurrent use.
type Redis struct {
	m    *miniredis.Miniredis
	url  string
	stop context.CancelFunc
	done sync.WaitGroup
}

// patient makes clients wait long for an answer: a Redis inside the process can't be away, but it may have much to do.
const patient = "?read_timeout=5m"

// Open starts a Redis that only Dial reaches.
func Open() *Redis {
	return begin(&Redis{m: miniredis.NewMiniRedis(), url: "redis://127.0.0.1:6379/0" + patient})
}

// Listen starts a Redis on a free port of loopback, which every user of this machine can
// reach. The error is that of listening.
func Listen() (*Redis, error) {
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		return nil, fmt.Errorf("in-process Redis: %w", err)
	}
	return begin(&Redis{m: m, url: "redis://" + m.Addr() + "/0" + patient}), nil
}

func begin(r *Redis) *Redis {
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.done.Go(func() { r.expire(ctx) })
	return r
}

// URL is its address, with how long to wait for answers. If it does not listen, the address works only with Dial.
func (r *Redis) URL() string { return r.url }

// Dial makes a connection in memory, whatever the address is: for redis.Options.Dialer.
func (r *Redis) Dial(context.Context, string, string) (net.Conn, error) {
	c, err := r.m.Dial()
	if err != nil {
		return nil, err
	}
	return Queue(c), nil
}

// expire lets time pass for keys with a time to live: miniredis counts it down only when
// it is told. (When it follows the clock itself, it walks over all such keys at every command.)
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

// Queue makes a connection in memory whose writes don't wait for the reader, like those of
// a kernel: over a bare net.Pipe a long pipeline and its replies would wait for each
// other. Write deadlines do nothing.
func Queue(c net.Conn) net.Conn {
	q := &queueConn{Conn: c, out: make(chan struct{}, 1)}
	go q.carry()
	return q
}

type queueConn struct {
	net.Conn

	mu     sync.Mutex
	queue  []byte
	closed bool
	out    chan struct{}
}

func (c *queueConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	c.queue = append(c.queue, p...)
	c.mu.Unlock()
	nudge.Send(c.out)
	return len(p), nil
}

// carry gives the reader what was written, until the connection is closed.
func (c *queueConn) carry() {
	for range c.out {
		c.mu.Lock()
		p, closed := c.queue, c.closed
		c.queue = nil
		c.mu.Unlock()
		if closed {
			return
		}
		if _, err := c.Conn.Write(p); err != nil {
			return
		}
	}
}

func (c *queueConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	nudge.Send(c.out)
	return c.Conn.Close()
}

// SetDeadline and SetWriteDeadline set no limit for carry: it waits as the network would.
func (c *queueConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *queueConn) SetWriteDeadline(time.Time) error { return nil }
