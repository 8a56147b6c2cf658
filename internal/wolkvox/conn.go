package wolkvox

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

var errStale = errors.New("the peer has closed the idle connection")

// guardConn is a connection that lets bytes out for an open attempt only. It
// lies above TLS, so that what it sees is the request and nothing else.
type guardConn struct {
	net.Conn
	raw *countConn

	current atomic.Pointer[armed]
}

// armed is the attempt that a connection works for now.
type armed struct {
	attempt *attempt
	check   bool // reused and nothing written yet: ask whether the peer is still there
}

// arm makes c work for a. net/http gives a connection to one request at a time.
func (c *guardConn) arm(a *attempt, reused bool) {
	c.current.Store(&armed{attempt: a, check: reused})
}

// Write writes for the connection's attempt, or refuses and writes nothing.
func (c *guardConn) Write(p []byte) (int, error) {
	now := c.current.Load()
	if now == nil {
		return 0, errNoOwner
	}
	first := !now.attempt.written()
	if first && now.check && c.raw.stale() {
		return 0, errStale
	}
	if err := now.attempt.begin(c); err != nil {
		return 0, err
	}
	before := c.raw.sent.Load()
	n, err := c.Conn.Write(p)
	if err != nil && first && c.raw.sent.Load() == before {
		now.attempt.undo(c)
		return 0, err
	}
	return n, err
}

// countConn counts what was given to the kernel, below TLS.
type countConn struct {
	net.Conn
	sent atomic.Int64
}

func (c *countConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// stale reports whether an idle connection has an end, an error or an unasked-for
// byte waiting to be read.
func (c *countConn) stale() bool {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	var pending bool
	err = rc.Control(func(fd uintptr) { pending = readPending(fd) })
	return err != nil || pending
}

// dialer makes guarded connections.
type dialer struct {
	timeout time.Duration // of the whole, TLS included
	ack     time.Duration
	local   bool                                                              // this machine only
	dial    func(ctx context.Context, network, addr string) (net.Conn, error) // nil: a net.Dialer
	tls     *tls.Config
}

func (d *dialer) control(_, address string, rc syscall.RawConn) error {
	if d.local {
		ap, err := netip.ParseAddrPort(address)
		if err != nil || !ap.Addr().Unmap().IsLoopback() {
			return fmt.Errorf("%w: the name leads elsewhere", errHost)
		}
	}
	return rc.Control(func(fd uintptr) { setAckTimeout(fd, d.ack) })
}

// bound limits a dial to its time-out and to its attempt's WriteBy, and refuses it
// where the attempt is over or written already (net/http would send it again).
func (d *dialer) bound(ctx context.Context) (context.Context, context.CancelFunc, error) {
	until := time.Now().Add(d.timeout)
	if a := attemptOf(ctx); a != nil {
		if err := a.refusal(); err != nil {
			return nil, nil, err
		}
		if !a.writeBy.IsZero() && a.writeBy.Before(until) {
			until = a.writeBy
		}
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	return ctx, cancel, nil
}

func (d *dialer) raw(ctx context.Context, network, addr string) (*countConn, error) {
	dial := d.dial
	if dial == nil {
		dial = (&net.Dialer{Control: d.control}).DialContext
	}
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &countConn{Conn: conn}, nil
}

func (d *dialer) dialPlain(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel, err := d.bound(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	raw, err := d.raw(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &guardConn{Conn: raw, raw: raw}, nil
}

func (d *dialer) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel, err := d.bound(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	raw, err := d.raw(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	cfg := d.tls.Clone()
	if cfg.ServerName, _, err = net.SplitHostPort(addr); err != nil {
		_ = raw.Close()
		return nil, err
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("tls handshake: %w", err)
	}
	return &guardConn{Conn: conn, raw: raw}, nil
}
