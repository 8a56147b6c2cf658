package wolkvox

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
	"testing"
	"time"
)

// sink is a connection that takes everything, or fails as it is told.
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

func guarded(s *sink) *guardConn {
	raw := &countConn{Conn: s}
	return &guardConn{Conn: raw, raw: raw}
}

func TestGuardLetsOneConnectionWrite(t *testing.T) {
	var one, two sink
	c1, c2, a := guarded(&one), guarded(&two), &attempt{writeBy: time.Now().Add(time.Hour)}
	if _, err := c1.Write([]byte("x")); !errors.Is(err, errNoOwner) {
		t.Errorf("write without an attempt: %v", err)
	}
	c1.arm(a, false)
	c2.arm(a, true)
	for range 2 {
		if n, err := c1.Write([]byte("ab")); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := c2.Write([]byte("ab")); n != 0 || !errors.Is(err, errTwice) {
			t.Errorf("second connection: %d, %v", n, err)
		}
	}
	if !a.end() {
		t.Error("written, and not known")
	}
	if n, err := c1.Write([]byte("ab")); n != 0 || !errors.Is(err, errOver) {
		t.Errorf("after the end: %d, %v", n, err)
	}
	if string(one.got) != "abab" || len(two.got) != 0 {
		t.Errorf("%q, %q", one.got, two.got)
	}
}

func TestGuardGivesBackWhatWroteNothing(t *testing.T) {
	broken, one := sink{fail: net.ErrClosed}, sink{}
	c1, c2, a := guarded(&broken), guarded(&one), &attempt{}
	c1.arm(a, false)
	if _, err := c1.Write([]byte("ab")); !errors.Is(err, net.ErrClosed) || a.written() {
		t.Errorf("%v, written %t", err, a.written())
	}
	c2.arm(a, false)
	if _, err := c2.Write([]byte("ab")); err != nil || !a.end() {
		t.Error(err)
	}
}

func TestGuardRefusesLate(t *testing.T) {
	for name, by := range map[string]time.Time{
		"by both clocks":     time.Now().Add(-time.Millisecond),
		"by the wall clock":  time.Now().Add(-time.Millisecond).Round(0),
		"this very moment":   time.Now(),
		"a long time before": time.Unix(1, 0),
	} {
		var one sink
		c, a := guarded(&one), &attempt{writeBy: by}
		c.arm(a, false)
		if n, err := c.Write([]byte("ab")); n != 0 || !errors.Is(err, errLate) || len(one.got) != 0 || a.end() {
			t.Errorf("%s: %d, %v, %q", name, n, err, one.got)
		}
	}
}

// TestGuardRace: an attempt ends while connections write. Whoever says that nothing
// was written must be right.
func TestGuardRace(t *testing.T) {
	for range 500 {
		var wg sync.WaitGroup
		sinks := make([]sink, 3)
		a := &attempt{}
		for i := range sinks {
			c := guarded(&sinks[i])
			c.arm(a, false)
			wg.Go(func() { c.Write([]byte("x")) })
		}
		written := a.end()
		wg.Wait()
		sum := 0
		for i := range sinks {
			sum += len(sinks[i].got)
		}
		if sum > 1 || (sum == 1) != written {
			t.Fatalf("%d bytes, written %t", sum, written)
		}
	}
}

// TestWriteByPassed: with the moment over before Do, nothing is dialled.
func TestWriteByPassed(t *testing.T) {
	s := wire(t, reply(answerText(202, success)))
	r := testRequest()
	r.WriteBy = time.Now()
	_, err := do(t, newClient(t, Config{URL: s.url()}), EnableModule, r)
	if n := want[*NotSentError](t, err); !n.Late || s.conns.Load() != 0 {
		t.Errorf("%#v, %d connections", n, s.conns.Load())
	}
}

// TestWriteBySlowDial: a TLS handshake that takes too long is given up in time.
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
	if n := want[*NotSentError](t, err); !n.Late {
		t.Errorf("%#v", n)
	}
}

// held is a context whose request is held up between getting its connection and
// writing, as in a process that was stopped, until hold returns.
func held(ctx context.Context, hold func()) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { hold() }})
}

func TestWriteByPause(t *testing.T) {
	for name, warm := range map[string]bool{"new connection": false, "reused connection": true} {
		t.Run(name, func(t *testing.T) {
			s := wire(t, reply(answerText(202, success)))
			c := newClient(t, Config{URL: s.url()})
			sent := int64(0)
			if warm {
				sent++
				if _, err := do(t, c, EnableModule, testRequest()); err != nil {
					t.Fatal(err)
				}
			}
			r := testRequest()
			r.WriteBy = time.Now().Add(100 * time.Millisecond)
			ctx := held(t.Context(), func() { <-time.After(time.Until(r.WriteBy)) })
			ans, err := c.Do(ctx, EnableModule, r)
			checkEnd(t, ans, err)
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
// busy to write in time gets more of it.
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

// TestCancelBeforeWriting: the write and the cancellation race, and either end is
// right where it is true.
func TestCancelBeforeWriting(t *testing.T) {
	for range 100 {
		s := wire(t, func(s *wireServer, _ int64, _ *net.TCPConn, r *bufio.Reader) {
			for s.readRequest(r) != nil {
			}
		})
		c := newClient(t, Config{URL: s.url()})
		ctx, cancel := context.WithCancel(t.Context())
		ans, err := c.Do(held(ctx, cancel), EnableModule, testRequest())
		checkEnd(t, ans, err)
		c.CloseIdle()
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
