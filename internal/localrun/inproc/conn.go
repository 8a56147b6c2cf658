package inproc

import (
	"net"
	"sync"
	"time"
)

// Queue makes a connection in memory whose writes don't wait for the reader, as those of
// a kernel: over a bare net.Pipe a long pipeline and its replies would wait for each
// other. before, where not nil, is called before bytes are handed over. Deadlines of
// writes do nothing.
func Queue(c net.Conn, before func()) net.Conn {
	if before == nil {
		before = func() {}
	}
	q := &queueConn{Conn: c, before: before, out: make(chan struct{}, 1)}
	go q.carry()
	return q
}

type queueConn struct {
	net.Conn
	before func()

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
		c.before()
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

// SetDeadline and SetWriteDeadline leave the carrier alone: it waits as the network would.
func (c *queueConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *queueConn) SetWriteDeadline(time.Time) error { return nil }
