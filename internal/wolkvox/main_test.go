package wolkvox

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testToken = `s3cr3t-T0ken/"with"\marks`
	success   = `{"code": 202, "error": null, "msg": "The xxx module has been successfully enabled"}`
)

// answerText is a complete answer with a Content-Length.
func answerText(status int, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), len(body), body)
}

// wireServer is a TCP server that serves its connections as a test says.
type wireServer struct {
	ln       net.Listener
	requests atomic.Int64 // whole requests read by readRequest
	conns    atomic.Int64
	wg       sync.WaitGroup
	mu       sync.Mutex
	open     []net.Conn
}

// wire starts a server that passes every connection to serve, and closes it afterwards.
func wire(t *testing.T, serve func(s *wireServer, n int64, c *net.TCPConn, r *bufio.Reader)) *wireServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &wireServer{ln: ln}
	s.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			n := s.conns.Add(1)
			s.mu.Lock()
			s.open = append(s.open, c)
			s.mu.Unlock()
			s.wg.Go(func() {
				defer c.Close()
				serve(s, n, c.(*net.TCPConn), bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(s.stop)
	return s
}

// stop ends all connections and waits for those that serve them.
func (s *wireServer) stop() {
	s.ln.Close()
	s.mu.Lock()
	for _, c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// readRequest reads one whole request and counts it, nil at the connection's end.
func (s *wireServer) readRequest(r *bufio.Reader) *http.Request {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil
	}
	s.requests.Add(1)
	return req
}

func (s *wireServer) url() string { return "http://" + s.ln.Addr().String() + "/wv{server}" }

// reply serves a connection with the same text for every request.
func reply(text string) func(*wireServer, int64, *net.TCPConn, *bufio.Reader) {
	return func(s *wireServer, _ int64, c *net.TCPConn, r *bufio.Reader) {
		for s.readRequest(r) != nil {
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
		}
	}
}

func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	cfg.Timeout = cmp.Or(cfg.Timeout, 30*time.Second)
	cfg.AckTimeout = cmp.Or(cfg.AckTimeout, 10*time.Second)
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

func testRequest() *Request {
	return &Request{Server: "0042", Token: testToken, ID: "call-1.1"}
}

// do makes an attempt and checks what is true of every attempt: the error is one of
// the four, and nothing shows the token.
func do(t *testing.T, c *Client, op Operation, r *Request) (Answer, error) {
	t.Helper()
	ans, err := c.Do(t.Context(), op, r)
	checkEnd(t, ans, err)
	return ans, err
}

func checkEnd(t *testing.T, ans Answer, err error) {
	t.Helper()
	if err == nil {
		noToken(t, fmt.Sprintf("%#v", ans))
		return
	}
	if ans != (Answer{}) {
		t.Errorf("an answer beside an error: %+v", ans)
	}
	switch err.(type) {
	case *NotSentError, *UnknownOutcomeError, *RefusedError, *UnreadableError:
	default:
		t.Errorf("error of type %T: %v", err, err)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		noToken(t, e.Error())
		noToken(t, fmt.Sprintf("%+v", e))
		noToken(t, fmt.Sprintf("%#v", e))
	}
}

func noToken(t *testing.T, s string) {
	t.Helper()
	if strings.Contains(s, testToken) || strings.Contains(s, "s3cr3t") {
		t.Errorf("shows the token: %s", s)
	}
}

// want is err as a T; if it is none, the test ends.
func want[T error](t *testing.T, err error) T {
	t.Helper()
	e, ok := errors.AsType[T](err)
	if !ok {
		t.Fatalf("error is %T (%v), want %T", err, err, e)
	}
	return e
}
