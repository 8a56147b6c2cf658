package wolkvox

import (
	"bufio"
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// sink is a connection that takes everything, or fails with fail.
type sink struct {
	net.Conn
	got  []byte
	fail error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.fail != nil {
		return 0, s.fail
	}
	s.got = append(s.got, p...)
	return len(p), nil
}

func connOf(s *sink) *conn {
	raw := &countConn{Conn: s}
	return newConn(raw, raw)
}

func TestNothingWasWritten(t *testing.T) {
	broken := sink{fail: net.ErrClosed}
	if written, err := connOf(&broken).send(t.Context(), []byte("ab"), time.Time{}, false); written || !errors.Is(err, net.ErrClosed) {
		t.Errorf("written %t, %v", written, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	var one sink
	if written, err := connOf(&one).send(over, []byte("ab"), time.Time{}, false); written || !errors.Is(err, context.Canceled) || len(one.got) != 0 {
		t.Errorf("written %t, %v, %q", written, err, one.got)
	}
}

func TestLateRequestsAreNotWritten(t *testing.T) {
	for name, by := range map[string]time.Time{
		"by both clocks":     time.Now().Add(-time.Millisecond),
		"by the wall clock":  time.Now().Add(-time.Millisecond).Round(0),
		"this very moment":   time.Now(),
		"a long time before": time.Unix(1, 0),
	} {
		var one sink
		if written, err := connOf(&one).send(t.Context(), []byte("ab"), by, false); written || !errors.Is(err, errLate) || len(one.got) != 0 {
			t.Errorf("%s: written %t, %v, %q", name, written, err, one.got)
		}
	}
}

// TestWriteByPassed: if the moment has passed before Do, nothing is dialled.
func TestWriteByPassed(t *testing.T) {
	s := wire(t, reply(answerText(202, success)))
	r := testRequest()
	r.WriteBy = time.Now()
	_, err := do(t, newClient(t, Config{URL: s.url()}), EnableModule, r)
	if n := want[*NotSentError](t, err); !n.Late || s.conns.Load() != 0 {
		t.Errorf("%#v, %d connections", n, s.conns.Load())
	}
}

// TestWriteBySlowDial: a TLS handshake that takes too long is given up in time, and is the server's fault.
func TestWriteBySlowDial(t *testing.T) {
	s := wire(t, func(_ *wireServer, _ int64, _ *net.TCPConn, r *bufio.Reader) {
		for {
			if _, err := r.ReadByte(); err != nil {
				return
			}
		}
	})
	r := testRequest()
	r.WriteBy = time.Now().Add(50 * time.Millisecond)
	_, err := do(t, newClient(t, Config{URL: "https://" + s.ln.Addr().String()}), EnableModule, r)
	if n := want[*NotSentError](t, err); n.Late || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%#v", n)
	}
}

// heldConn holds a request up after it got the connection and before it writes, until hold returns, as
// if the process was stopped.
type heldConn struct {
	*net.TCPConn
	hold func()
}

// SetDeadline is the first thing that a request does with its connection.
func (c *heldConn) SetDeadline(t time.Time) error {
	if c.hold != nil {
		c.hold()
	}
	return c.TCPConn.SetDeadline(t)
}

// heldClient is a client whose connections are heldConns.
func heldClient(t *testing.T, s *wireServer, hold func()) *Client {
	t.Helper()
	return newClient(t, Config{URL: s.url(), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &heldConn{TCPConn: c.(*net.TCPConn), hold: hold}, nil
	}})
}

func TestWriteByPause(t *testing.T) {
	for name, warm := range map[string]bool{"new connection": false, "reused connection": true} {
		t.Run(name, func(t *testing.T) {
			s := wire(t, reply(answerText(202, success)))
			r := testRequest()
			held := func() {}
			c := heldClient(t, s, func() { held() })
			sent := int64(0)
			if warm {
				sent++
				if _, err := do(t, c, EnableModule, testRequest()); err != nil {
					t.Fatal(err)
				}
			}
			r.WriteBy = time.Now().Add(100 * time.Millisecond)
			held = func() { <-time.After(time.Until(r.WriteBy)) }
			_, err := do(t, c, EnableModule, r)
			held = func() {}
			if n := want[*NotSentError](t, err); !n.Late || !errors.Is(err, errLate) {
				t.Errorf("%#v", n)
			}
			if _, err := do(t, c, EnableModule, testRequest()); err != nil {
				t.Errorf("the next one: %v", err)
			}
			if n := s.requests.Load(); n != sent+1 {
				t.Errorf("%d requests, want %d", n, sent+1)
			}
		})
	}
}

// TestWriteByAfterWriting: the moment is the first byte's, not the answer's. A machine that is too
// busy to write in time gets more time.
func TestWriteByAfterWriting(t *testing.T) {
	for most := 100 * time.Millisecond; ; most *= 2 {
		by := time.Now().Add(most)
		s := wire(t, func(s *wireServer, _ int64, c *net.TCPConn, r *bufio.Reader) {
			if s.readRequest(r) != nil {
				<-time.After(time.Until(by) + 20*time.Millisecond)
				c.Write([]byte(answerText(202, success)))
			}
		})
		r := testRequest()
		r.WriteBy = by
		_, err := do(t, newClient(t, Config{URL: s.url()}), EnableModule, r)
		if is[*NotSentError](err) && most < time.Minute {
			continue
		}
		if err != nil {
			t.Error(err)
		}
		return
	}
}

func TestCancelBeforeDo(t *testing.T) {
	s := wire(t, reply(answerText(202, success)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ans, err := newClient(t, Config{URL: s.url()}).Do(ctx, EnableModule, testRequest())
	checkEnd(t, ans, err)
	if n := want[*NotSentError](t, err); n.Late || !errors.Is(err, context.Canceled) || s.requests.Load() != 0 {
		t.Errorf("%#v", n)
	}
}

// TestCancelBeforeWriting: the write and the cancellation race. Either end is right
// if it is true.
func TestCancelBeforeWriting(t *testing.T) {
	for range 100 {
		s := wire(t, func(s *wireServer, _ int64, _ *net.TCPConn, r *bufio.Reader) {
			for s.readRequest(r) != nil {
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		c := heldClient(t, s, cancel)
		ans, err := c.Do(ctx, EnableModule, testRequest())
		checkEnd(t, ans, err)
		s.ln.Close()
		s.wg.Wait() // until the server has read all that came
		if is[*NotSentError](err) && s.requests.Load() != 0 {
			t.Fatalf("%#v after %d requests", err, s.requests.Load())
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%#v", err)
		}
	}
}

func TestCancelAfterWriting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := wire(t, func(s *wireServer, _ int64, _ *net.TCPConn, r *bufio.Reader) {
		s.readRequest(r)
		cancel()
		s.readRequest(r) // until the client goes
	})
	ans, err := newClient(t, Config{URL: s.url()}).Do(ctx, EnableModule, testRequest())
	checkEnd(t, ans, err)
	if want[*UnknownOutcomeError](t, err); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
