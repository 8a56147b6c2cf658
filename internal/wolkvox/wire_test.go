package wolkvox

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// TestRequestOnTheWire compares the request's bytes with the vendor's documents.
func TestRequestOnTheWire(t *testing.T) {
	head := make(chan string, 1)
	s := wire(t, func(_ *wireServer, _ int64, c *net.TCPConn, r *bufio.Reader) {
		var b strings.Builder
		for {
			line, err := r.ReadString('\n')
			b.WriteString(line)
			if err != nil || line == "\r\n" {
				break
			}
		}
		head <- b.String()
		c.Write([]byte(answerText(202, success)))
	})
	ans, err := do(t, newClient(t, Config{URL: s.url()}), EnableModule, testRequest())
	if err != nil || ans.Status != 202 || ans.Code != 202 || !strings.Contains(ans.Msg, "enabled") {
		t.Fatalf("%+v, %v", ans, err)
	}
	got := <-head
	if !strings.HasPrefix(got, "PUT /wv0042/api/v2/configuration.php?api=enable_module HTTP/1.1\r\n") {
		t.Error(got)
	}
	for _, line := range []string{"wolkvox-token: " + testToken, "X-Request-ID: call-1.1", "Content-Length: 0"} {
		if strings.Count(got, "\r\n"+line+"\r\n") != 1 {
			t.Errorf("no %q in %q", line, got)
		}
	}
	for _, name := range []string{"accept-encoding", "transfer-encoding", "idempotency-key", "content-type", "cookie", "expect"} {
		if strings.Contains(strings.ToLower(got), "\n"+name+":") {
			t.Errorf("%s in %q", name, got)
		}
	}
}

// TestBrokenAnswers: anything less than a complete answer is an unknown outcome.
func TestBrokenAnswers(t *testing.T) {
	big := strings.Repeat("x", 100<<10)
	for name, c := range map[string]struct {
		text   string // written after the request was read
		reset  bool
		status int // that the error names
	}{
		"closed":              {},
		"reset":               {reset: true},
		"part of the head":    {text: "HTTP/1.1 202 Acc"},
		"head alone":          {text: "HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n", status: 202},
		"cut body":            {text: "HTTP/1.1 202 Accepted\r\nContent-Length: 500\r\n\r\n" + success, status: 202},
		"cut body of a 500":   {text: "HTTP/1.1 500 Oops\r\nContent-Length: 500\r\n\r\n" + success, status: 500},
		"cut above the cap":   {text: "HTTP/1.1 200 OK\r\nContent-Length: 204800\r\n\r\n" + big, status: 200},
		"chunk cut":           {text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + success, status: 200},
		"last chunk missing":  {text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", status: 200},
		"chunks' end cut":     {text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", status: 200},
		"no length, HTML":     {text: "HTTP/1.1 200 OK\r\n\r\n<html>", status: 200},
		"no length, 403":      {text: "HTTP/1.0 403 Forbidden\r\n\r\n<html>", status: 403},
		"no length, cut JSON": {text: "HTTP/1.1 200 OK\r\n\r\n" + success[:40], status: 200},
		"no HTTP":             {text: "SSH-2.0-" + testToken + "\r\n\r\n"},
		"bad status line":     {text: "HTTP/1.1 " + testToken + " OK\r\n\r\n"},
		"bad header":          {text: "HTTP/1.1 200 OK\r\n" + testToken + "\r\n\r\n"},
		"bad length":          {text: "HTTP/1.1 200 OK\r\nContent-Length: " + testToken + "\r\n\r\n"},
		"announced endless":   {text: "HTTP/1.1 200 OK\r\nContent-Length: 8388609\r\n\r\n", status: 200},
		"switch":              {text: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", status: 101},
		"huge head":           {text: "HTTP/1.1 200 OK\r\nX: " + big + "\r\n\r\n"},
		"interim, then gone":  {text: "HTTP/1.1 102 Processing\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := wire(t, func(s *wireServer, _ int64, conn *net.TCPConn, r *bufio.Reader) {
				if s.readRequest(r) == nil {
					return
				}
				conn.Write([]byte(c.text))
				if c.reset {
					conn.SetLinger(0)
				}
			})
			for _, op := range []Operation{EnableModule, TokenInfo} {
				before := s.requests.Load()
				_, err := do(t, newClient(t, Config{URL: s.url()}), op, testRequest())
				if u := want[*UnknownOutcomeError](t, err); u.Status != c.status || u.Cause == nil {
					t.Errorf("%#v", u)
				}
				if n := s.requests.Load() - before; n != 1 {
					t.Errorf("%d requests", n)
				}
			}
		})
	}
}

// TestCompleteAnswers: a complete answer frees its slot, readable or not.
func TestCompleteAnswers(t *testing.T) {
	big := strings.Repeat("x", 100<<10)
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, c := range map[string]struct {
		text string
		is   func(error) bool
	}{
		"success":             {answerText(200, success), func(err error) bool { return err == nil }},
		"success in chunks":   {chunked + "4c\r\n" + success[:76] + "\r\n" + "7\r\n" + success[76:] + "\r\n0\r\n\r\n", func(err error) bool { return err == nil }},
		"success, no length":  {"HTTP/1.0 200 OK\r\n\r\n" + success, func(err error) bool { return err == nil }},
		"interim, then it":    {"HTTP/1.1 102 Processing\r\n\r\n" + answerText(200, success), func(err error) bool { return err == nil }},
		"HTML":                {answerText(200, "<html>"), is[*UnreadableError]},
		"empty":               {answerText(200, ""), is[*UnreadableError]},
		"no content":          {"HTTP/1.1 204 No Content\r\n\r\n", is[*UnreadableError]},
		"compressed unasked":  {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08", is[*UnreadableError]},
		"above the cap":       {answerText(200, big), is[*UnreadableError]},
		"403 above the cap":   {answerText(403, big), kind(UnknownForbidden)},
		"403, HTML":           {answerText(403, "<html>"), kind(UnknownForbidden)},
		"503, empty":          {answerText(503, ""), kind(ServerFailure)},
		"not modified":        {"HTTP/1.1 304 Not Modified\r\n\r\n", kind(Other)},
		"403, no length":      {"HTTP/1.0 403 Forbidden\r\n\r\n" + `{"code":403,"msg":"TOKEN LIMIT EXCEEDED"}`, kind(TokenLimit)},
		"echo of the token":   {answerText(403, `{"code":403,"msg":"s3cr3t-T0ken/\"with\"\\marks"}`), kind(UnknownForbidden)},
		"echo without a JSON": {answerText(200, testToken), is[*UnreadableError]},
	} {
		t.Run(name, func(t *testing.T) {
			s := wire(t, func(s *wireServer, _ int64, conn *net.TCPConn, r *bufio.Reader) {
				if s.readRequest(r) != nil {
					conn.Write([]byte(c.text))
				}
			})
			_, err := do(t, newClient(t, Config{URL: s.url()}), EnableModule, testRequest())
			if !c.is(err) {
				t.Errorf("%#v", err)
			}
		})
	}
}

func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

func kind(k Kind) func(error) bool {
	return func(err error) bool {
		r, ok := errors.AsType[*RefusedError](err)
		return ok && r.Kind == k
	}
}

func TestEndlessBody(t *testing.T) {
	s := wire(t, func(s *wireServer, _ int64, c *net.TCPConn, r *bufio.Reader) {
		s.readRequest(r)
		c.Write([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
		chunk := []byte("10000\r\n" + strings.Repeat("x", 64<<10) + "\r\n")
		for {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	})
	_, err := do(t, newClient(t, Config{URL: s.url()}), EnableModule, testRequest())
	if want[*UnknownOutcomeError](t, err); !errors.Is(err, errEndless) {
		t.Error(err)
	}
}

func TestTimeout(t *testing.T) {
	for name, text := range map[string]string{
		"no answer":        "",
		"body stands":      "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
		"body above stays": "HTTP/1.1 200 OK\r\nContent-Length: 204800\r\n\r\n" + strings.Repeat("x", 100<<10),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := wire(t, func(s *wireServer, _ int64, c *net.TCPConn, r *bufio.Reader) {
				s.readRequest(r)
				c.Write([]byte(text))
				s.readRequest(r) // until the client goes
			})
			_, err := do(t, newClient(t, Config{URL: s.url(), Timeout: 2 * time.Second}), EnableModule, testRequest())
			if want[*UnknownOutcomeError](t, err); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

// TestResetUnread: if a peer goes without reading, the request may have been
// written to it or not; no other end is possible.
func TestResetUnread(t *testing.T) {
	s := wire(t, func(_ *wireServer, _ int64, c *net.TCPConn, _ *bufio.Reader) { c.SetLinger(0) })
	c := newClient(t, Config{URL: s.url()})
	for range 50 {
		if _, err := do(t, c, EnableModule, testRequest()); !is[*NotSentError](err) && !is[*UnknownOutcomeError](err) {
			t.Fatalf("%#v", err)
		}
	}
	if n := s.conns.Load(); n > 50 {
		t.Errorf("%d connections for 50 attempts", n)
	}
}

func TestNoConnection(t *testing.T) {
	_, err := do(t, newClient(t, Config{URL: "http://127.0.0.1:1"}), EnableModule, testRequest())
	if n := want[*NotSentError](t, err); n.Late {
		t.Error("late")
	}
	if !is[*net.OpError](err) {
		t.Errorf("the cause is lost: %#v", err)
	}
}

// TestKeepAliveDeath: every connection answers one request, reads a second one and
// dies. No method is sent again: ten attempts are ten requests, and five unknown outcomes.
func TestKeepAliveDeath(t *testing.T) {
	for _, op := range []Operation{EnableModule, TokenInfo} {
		for name, reset := range map[string]bool{"closed": false, "reset": true} {
			t.Run(op.Method+" "+name, func(t *testing.T) {
				s := wire(t, func(s *wireServer, _ int64, c *net.TCPConn, r *bufio.Reader) {
					if s.readRequest(r) == nil {
						return
					}
					c.Write([]byte(answerText(202, success)))
					s.readRequest(r)
					if reset {
						c.SetLinger(0)
					}
				})
				c := newClient(t, Config{URL: s.url()})
				for i := range 10 {
					_, err := do(t, c, op, testRequest())
					if i%2 == 0 && err != nil {
						t.Fatalf("attempt %d: %v", i, err)
					}
					if i%2 == 1 {
						want[*UnknownOutcomeError](t, err)
					}
				}
				if n := s.requests.Load(); n != 10 {
					t.Errorf("10 attempts made %d requests", n)
				}
			})
		}
	}
}

// TestDeadIdle: a connection that the peer closed while it was idle costs nothing.
func TestDeadIdle(t *testing.T) {
	for _, op := range []Operation{EnableModule, TokenInfo} {
		closed := make(chan struct{}, 1)
		s := wire(t, func(s *wireServer, _ int64, c *net.TCPConn, r *bufio.Reader) {
			if s.readRequest(r) == nil {
				return
			}
			c.Write([]byte(answerText(202, success)))
			c.Close()
			closed <- struct{}{}
		})
		c := newClient(t, Config{URL: s.url()})
		for i := range 200 {
			if _, err := do(t, c, op, testRequest()); err != nil {
				t.Fatalf("attempt %d: %v", i, err)
			}
			<-closed
		}
		if n := s.requests.Load(); n != 200 {
			t.Errorf("200 attempts made %d requests", n)
		}
	}
}

func TestConnectionIsReused(t *testing.T) {
	s := wire(t, reply(answerText(202, success)))
	c := newClient(t, Config{URL: s.url()})
	for range 20 {
		if _, err := do(t, c, EnableModule, testRequest()); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	c.CloseIdle()
	if _, err := do(t, c, EnableModule, testRequest()); err != nil || s.conns.Load() != 2 {
		t.Errorf("%v, %d connections", err, s.conns.Load())
	}
}
