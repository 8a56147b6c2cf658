package simtime

import (
	"context"
	"net"
	"time"

	"github.com/alicebob/miniredis/v2"

	"habilita/internal/localrun/inproc"
)

// memory is a miniredis whose clock is the machine's plus an offset. It is reached over
// connections in memory: waiting on them is durable in a bubble.
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
	return inproc.Queue(timedConn{c, m}), nil
}

// timedConn tells the Redis the time before it passes commands on.
type timedConn struct {
	net.Conn
	redis *memory
}

func (c timedConn) Write(p []byte) (int, error) {
	c.redis.SetTime(c.redis.now())
	return c.Conn.Write(p)
}
