package wolkvox

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// TestDeadIdleNoticed: an attempt's connection dies after the attempt got it and before it writes. Nothing was
// written, so the attempt goes on with another connection.
func TestDeadIdleNoticed(t *testing.T) {
	for _, op := range []Operation{EnableModule, TokenInfo} {
		s := wire(t, func(s *wireServer, _ int64, c *net.TCPConn, r *bufio.Reader) {
			for s.readRequest(r) != nil {
				c.Write([]byte(answerText(202, success)))
			}
		})
		var conns []*heldConn
		c := newClient(t, Config{URL: s.url(), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			plain, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			one := &heldConn{TCPConn: plain.(*net.TCPConn)}
			conns = append(conns, one)
			return one, nil
		}})
		if _, err := do(t, c, op, testRequest()); err != nil {
			t.Fatal(err)
		}
		conns[0].hold = func() { _ = conns[0].CloseWrite() }
		_, err := do(t, c, op, testRequest())
		if err != nil || s.requests.Load() != 2 || s.conns.Load() != 2 {
			t.Errorf("%s: %v, %d requests on %d connections", op.Method, err, s.requests.Load(), s.conns.Load())
		}
	}
}

// partConn fails after a part of a request has been written.
type partConn struct {
	*net.TCPConn
	fail bool
}

func (c *partConn) Write(p []byte) (int, error) {
	if !c.fail {
		return c.TCPConn.Write(p)
	}
	n, _ := c.TCPConn.Write(p[:10])
	return n, net.ErrClosed
}

// TestPartIsNotSentAgain: if an idle connection took a part of a request, the outcome is unknown.
func TestPartIsNotSentAgain(t *testing.T) {
	s := wire(t, reply(answerText(202, success)))
	var conns []*partConn
	c := newClient(t, Config{URL: s.url(), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		plain, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conns = append(conns, &partConn{TCPConn: plain.(*net.TCPConn)})
		return conns[len(conns)-1], nil
	}})
	if _, err := do(t, c, EnableModule, testRequest()); err != nil {
		t.Fatal(err)
	}
	conns[0].fail = true
	_, err := do(t, c, EnableModule, testRequest())
	if want[*UnknownOutcomeError](t, err); len(conns) != 1 {
		t.Errorf("%d connections", len(conns))
	}
}

// lateConn ends its request's context when the answer has been read.
type lateConn struct {
	*net.TCPConn
	end    func()
	ended  chan struct{}
	closed sync.Once
}

func (c *lateConn) SetDeadline(t time.Time) error {
	if t.Before(time.Now()) {
		c.closed.Do(func() { close(c.ended) })
	}
	return c.TCPConn.SetDeadline(t)
}

func (c *lateConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if c.end != nil {
		c.end()
		<-c.ended
	}
	return n, err
}

// TestConnectionsThatAreNotUsedAgain: one that a context may still end, and one that sent more than was asked for.
func TestConnectionsThatAreNotUsedAgain(t *testing.T) {
	t.Run("its context ended", func(t *testing.T) {
		s := wire(t, reply(answerText(202, success)))
		ctx, cancel := context.WithCancel(t.Context())
		end := cancel
		c := newClient(t, Config{URL: s.url(), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			plain, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &lateConn{TCPConn: plain.(*net.TCPConn), end: end, ended: make(chan struct{})}, nil
		}})
		if _, err := c.Do(ctx, EnableModule, testRequest()); err != nil {
			t.Fatal(err)
		}
		end = nil
		if _, err := do(t, c, EnableModule, testRequest()); err != nil || s.conns.Load() != 2 {
			t.Errorf("%v, %d connections", err, s.conns.Load())
		}
	})
	t.Run("a second answer", func(t *testing.T) {
		s := wire(t, reply(answerText(202, success)+answerText(403, success)))
		c := newClient(t, Config{URL: s.url()})
		for range 2 {
			if _, err := do(t, c, EnableModule, testRequest()); err != nil {
				t.Error(err)
			}
		}
		if n := s.conns.Load(); n != 2 {
			t.Errorf("%d connections", n)
		}
	})
}

// TestIdleConnectionsGo: a connection that nobody uses is closed after a while.
func TestIdleConnectionsGo(t *testing.T) {
	ended := make(chan struct{}, 3)
	s := wire(t, func(s *wireServer, _ int64, c *net.TCPConn, r *bufio.Reader) {
		if s.readRequest(r) != nil {
			c.Write([]byte(answerText(202, success)))
		}
		s.readRequest(r)
		ended <- struct{}{}
	})
	c := newClient(t, Config{URL: s.url()})
	c.idle.keep = 20 * time.Millisecond
	if _, err := do(t, c, EnableModule, testRequest()); err != nil {
		t.Fatal(err)
	}
	<-ended
	kept := idleConns{keep: time.Hour, of: map[string][]*conn{}}
	one, two := &conn{Conn: new(closable), host: "h"}, &conn{Conn: new(closable), host: "h"}
	kept.put(one)
	kept.put(two)
	if kept.take("other") != nil || kept.take("h") != two || kept.take("h") != one || kept.take("h") != nil {
		t.Error("the connections of one host were not taken once, the last one first")
	}
	kept.put(one)
	if kept.closeAll(); !one.Conn.(*closable).closed || kept.take("h") != nil {
		t.Error("a connection is still open")
	}
}

type closable struct {
	net.Conn
	closed bool
}

func (c *closable) Close() error {
	c.closed = true
	return nil
}

func TestDialBounds(t *testing.T) {
	errSeen := errors.New("seen")
	var end time.Time
	c := newClient(t, Config{URL: "http://127.0.0.1:1", DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		end, _ = ctx.Deadline()
		return nil, errSeen
	}})
	dialled := func(until time.Time) time.Time {
		if _, err := c.connect(t.Context(), "127.0.0.1:1", until); !errors.Is(err, errSeen) {
			t.Fatal(err)
		}
		return end
	}
	by := time.Now().Add(dialTimeout / 2)
	if got := dialled(by); !got.Equal(by) {
		t.Errorf("until %s, want %s", got, by)
	}
	if late := by.Add(time.Hour); !dialled(late).Before(late) {
		t.Error("a dial may take longer than dialTimeout")
	}
	by = time.Now().Add(dialTimeout / 2)
	r := testRequest()
	r.WriteBy = by
	_, err := do(t, c, EnableModule, r)
	if want[*NotSentError](t, err); !end.Equal(by) {
		t.Errorf("a dial may take until %s, and the request has to be written by %s", end, by)
	}
}
