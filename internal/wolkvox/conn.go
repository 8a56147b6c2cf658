package wolkvox

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"habilita/internal/rawconn"
)

var (
	errStale    = errors.New("the peer has closed the idle connection")
	errNoAnswer = errors.New("the connection ended before an answer")
	errLongHead = errors.New("the head of the answer is longer than 64 KiB")
)

const (
	maxHead = 64 << 10
	// readBuffer has room for an answer as the vendor sends it. A worker has 1,000 connections and more.
	readBuffer = 1 << 10
)

// conn is a connection that makes one request at a time, in the goroutine of its caller.
type conn struct {
	net.Conn // TLS, if there is any
	raw      *countConn
	in       *bufio.Reader
	host     string      // of its request
	left     int64       // bytes that may still be read
	unhook   func() bool // ends the hold of a request's context on the connection
	old      *time.Timer // while it is idle: closes it after a while
}

func newConn(c net.Conn, raw *countConn) *conn {
	to := &conn{Conn: c, raw: raw}
	to.in = bufio.NewReaderSize(limited{to}, readBuffer)
	return to
}

// limited reads no more from a connection than it may.
type limited struct{ *conn }

func (l limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLongHead
	}
	n, err := l.Conn.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// bind makes reads and writes of the connection fail from a time on, and when ctx ends.
func (c *conn) bind(ctx context.Context, until time.Time) {
	_ = c.SetDeadline(until) // fails if the connection is closed: then the write says so
	c.unhook = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
}

// unbind frees the connection from its context. If it returns false, the context has ended, and the connection is of
// no more use.
func (c *conn) unbind() bool { return c.unhook() }

// send writes a request, unless its time has passed. If it fails, written is false only if certainly nothing was
// written. What remains is the few microseconds between the check of the time and the system call.
func (c *conn) send(ctx context.Context, text []byte, by time.Time, reused bool) (written bool, err error) {
	switch {
	case reused && c.raw.stale():
		return false, errStale
	case ctx.Err() != nil:
		return false, ctx.Err()
	case past(by):
		return false, errLate
	}
	before := c.raw.sent
	_, err = c.Write(text)
	return err == nil || c.raw.sent != before, err
}

// await waits for the first byte of an answer.
func (c *conn) await() error {
	c.left = maxHead
	_, err := c.in.Peek(1)
	if errors.Is(err, io.EOF) {
		return errNoAnswer
	}
	return err
}

// readHead reads the head of an answer, and passes over interim ones.
func (c *conn) readHead() (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= http.StatusOK || resp.StatusCode == http.StatusSwitchingProtocols {
			c.left = math.MaxInt64 // readBody bounds it
			return resp, nil
		}
	}
}

// why says what ended a connection that was bound to ctx.
func why(ctx context.Context, err error) error {
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
}

// past reports whether t is over by the monotonic clock or by the wall clock.
// The first stands still while a machine is suspended, the second can be set back.
func past(t time.Time) bool {
	if t.IsZero() {
		return false
	}
	now := time.Now()
	return !now.Before(t) || !now.Round(0).Before(t.Round(0))
}

// earlier is the earlier one; a zero a is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// countConn counts what was given to the kernel, below TLS.
type countConn struct {
	net.Conn
	sent int64
}

func (c *countConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent += int64(n)
	return n, err
}

// stale reports whether an idle connection has an end, an error or an unasked-for
// byte waiting to be read, or can't be asked.
func (c *countConn) stale() bool {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return true
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	var pending bool
	err = rc.Read(func(fd uintptr) bool {
		pending = rawconn.Unread(fd) // where it can't be known, no connection is used twice
		return true
	})
	return err != nil || pending
}

// control refuses to leave this machine in a rehearsal, whatever address a name has.
func (c *Client) control(_, address string, rc syscall.RawConn) error {
	if c.to.local {
		ap, err := netip.ParseAddrPort(address)
		if err != nil || !ap.Addr().Unmap().IsLoopback() {
			return fmt.Errorf("%w: the name leads elsewhere", errHost)
		}
	}
	return rc.Control(func(fd uintptr) { setAckTimeout(fd, c.cfg.AckTimeout) })
}

// connect makes a connection, TLS included. It gives up at a time.
func (c *Client) connect(ctx context.Context, addr string, until time.Time) (*conn, error) {
	ctx, cancel := context.WithDeadline(ctx, earlier(time.Now().Add(dialTimeout), until))
	defer cancel()
	dial := c.cfg.DialContext
	if dial == nil {
		dial = (&net.Dialer{Control: c.control}).DialContext
	}
	plain, err := dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	raw := &countConn{Conn: rawconn.Of(plain)}
	if c.tls == nil {
		return newConn(raw, raw), nil
	}
	cfg := c.tls.Clone()
	cfg.ServerName, _, _ = net.SplitHostPort(addr) // template.address joined them
	over := tls.Client(raw, cfg)
	if err := over.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("tls handshake: %w", err)
	}
	return newConn(over, raw), nil
}

// idleConns keeps connections that no request uses, for a while.
type idleConns struct {
	keep time.Duration // without use

	mu sync.Mutex
	of map[string][]*conn // by host, the one that was used last at the end
}

// take takes the connection to a host that was used last; nil if there is none.
func (i *idleConns) take(host string) *conn {
	i.mu.Lock()
	defer i.mu.Unlock()
	for kept := i.of[host]; len(kept) > 0; kept = i.of[host] {
		c := kept[len(kept)-1]
		i.of[host] = slices.Delete(kept, len(kept)-1, len(kept))
		if c.old.Stop() {
			return c
		} // else drop closes it
	}
	return nil
}

// put keeps a connection. There are never more than were in use together lately.
func (i *idleConns) put(c *conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c.old = time.AfterFunc(i.keep, func() { i.drop(c) })
	i.of[c.host] = append(i.of[c.host], c)
}

// drop closes a connection that has been kept long enough.
func (i *idleConns) drop(c *conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	_ = c.Close()
	i.of[c.host] = slices.DeleteFunc(i.of[c.host], func(kept *conn) bool { return kept == c })
}

func (i *idleConns) closeAll() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, kept := range i.of {
		for _, c := range kept {
			c.old.Stop()
			_ = c.Close()
		}
	}
	clear(i.of)
}
