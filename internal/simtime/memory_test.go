package simtime

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// memory is a miniredis whose clock is the machine's and so much. It is asked over
// connections in memory, on which waiting is durable in a bubble.
type memory struct {
	*miniredis.Miniredis
	off time.Duration
}

func newMemory(off time.Duration) *memory {
	m := &memory{miniredis.NewMiniRedis(), off}
	m.SetTime(m.now())
	m.ClockTTL(true)
	return m
}

func (m *memory) now() time.Time { return time.Now().Add(m.off) }

// dial is a redis.Options.Dialer.
func (m *memory) dial(context.Context, string, string) (net.Conn, error) {
	c, err := m.Dial()
	if err != nil {
		return nil, err
	}
	q := &queueConn{Conn: c, tell: func() { m.SetTime(m.now()) }, out: make(chan struct{}, 1)}
	go q.carry()
	return q, nil
}

// queueConn is a connection whose writes don't wait for the reader, as those of a
// kernel: over a bare net.Pipe a long pipeline and its replies would wait for each other.
type queueConn struct {
	net.Conn
	tell func() // before bytes are carried: sets the clock

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
	c.wake()
	return len(p), nil
}

func (c *queueConn) wake() {
	select {
	case c.out <- struct{}{}:
	default:
	}
}

// carry gives the server what was written, until the connection is closed.
func (c *queueConn) carry() {
	for range c.out {
		c.mu.Lock()
		p, closed := c.queue, c.closed
		c.queue = nil
		c.mu.Unlock()
		if closed {
			return
		}
		c.tell()
		if _, err := c.Conn.Write(p); err != nil {
			return
		}
	}
}

func (c *queueConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wake()
	return c.Conn.Close()
}

// SetDeadline and SetWriteDeadline leave the carrier alone: it waits as the network
// would.
func (c *queueConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *queueConn) SetWriteDeadline(time.Time) error { return nil }
