package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"habilita/internal/web/api"
)

// uploads is the world's API on a server that gives a body little time. A test sees when a request has
// left its goroutine.
type uploads struct {
	*world
	addr string
	idle chan struct{} // one for each connection that has ended
}

// newUploads serves the API to callers that may stand still for this long.
func newUploads(t *testing.T, standstill time.Duration) *uploads {
	u := &uploads{world: newWorld(t), idle: make(chan struct{}, 64)}
	o := u.api.Options
	o.Standstill = standstill
	s := httptest.NewUnstartedServer(api.New(o))
	s.Config.ReadHeaderTimeout, s.Config.ReadTimeout = time.Minute, serverPatience
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			u.idle <- struct{}{}
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	u.addr = s.Listener.Addr().String()
	return u
}

// serverPatience is how long the server gives a whole request, unless the API asks for more.
const serverPatience = 300 * time.Millisecond

// dial sends the head of an upload to path, and the beginning of its body.
func (u *uploads) dial(path, head, body string) net.Conn {
	u.t.Helper()
	c, err := (&net.Dialer{}).DialContext(u.t.Context(), "tcp", u.addr)
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { _ = c.Close() })
	u.send(c, "POST "+path+" HTTP/1.1\r\nHost: x\r\n"+head+"\r\n"+body)
	return c
}

func (u *uploads) send(c net.Conn, text string) {
	u.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		u.t.Error(err)
	}
}

// answered reads the answer of an upload whose caller says no more.
func (u *uploads) answered(c net.Conn) reply {
	u.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		u.t.Fatalf("no answer: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

// ended waits until the server has finished with a connection that the caller keeps open.
func (u *uploads) ended() {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), 30*time.Second)
	defer cancel()
	select {
	case <-u.idle:
	case <-ctx.Done():
		u.t.Error("the server still waits for the body")
	}
}

func chunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

// An upload whose caller falls silent gets an answer, and ties up nothing. What came before
// is enqueued.
func TestUploadsThatStall(t *testing.T) {
	t.Parallel()
	const csv, chunked = "Content-Type: text/csv\r\n", "Transfer-Encoding: chunked\r\n"
	row := "server,token\n1,t1\n"
	long := strings.Repeat("x", 70<<10) + "\n" // a line that is none
	for name, c := range map[string]struct {
		head, body string
		status     int
		enqueued   int
	}{
		"a short body":                    {csv + "Content-Length: 1000\r\n", row, 408, 1},
		"a large body":                    {csv + "Content-Length: 1000000\r\n", row, 408, 1},
		"none of the body":                {csv + "Content-Length: 1000\r\n", "", 408, 0},
		"half a row":                      {csv + "Content-Length: 1000\r\n", row + "2,t", 408, 1},
		"chunked":                         {csv + chunked, chunk(row), 408, 1},
		"chunked, in the middle of one":   {csv + chunked, "ff\r\n" + row, 408, 1},
		"chunked, in the middle of a row": {csv + chunked, chunk(row + "2,"), 408, 1},
		"chunked, without its end":        {csv + chunked, chunk(row) + "0\r\n", 408, 1},
		"chunked, none of it":             {csv + chunked, "", 408, 0},
		"refused early":                   {csv + "Content-Length: 1000\r\n", "a,b\n", 422, 0},
		"refused early, chunked":          {csv + chunked, chunk("a,b\n"), 422, 0},
		"too large":                       {csv + "Content-Length: 2000000\r\n", "server,token\n" + strings.Repeat(long, 16), 413, 0},
		"not this type":                   {"Content-Type: text/html\r\nContent-Length: 1000\r\n", row, 415, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUploads(t, time.Second)
			conn := u.dial("/v1/batches?batch=b", c.head, c.body)
			r := u.answered(conn).want(t, c.status, nil)
			u.ended()
			if c.enqueued > 0 {
				r.says(t, "1 row before it is enqueued")
				var st status
				if u.get("/v1/batches/b").want(t, 200, &st); st.Total != c.enqueued {
					t.Errorf("%+v", st)
				}
			}
		})
	}
}

// An upload that keeps moving may take as long as it needs.
func TestUploadsThatAreSlow(t *testing.T) {
	t.Parallel()
	for _, chunked := range []bool{false, true} {
		u := newUploads(t, time.Minute)
		pieces := []string{"server,tok", "en\n1,", "t1\n2,t2", "\n3,t3\n", "4,t4\n5", ",t5\n"}
		head, part := fmt.Sprintf("Content-Length: %d\r\n", len(strings.Join(pieces, ""))), func(s string) string { return s }
		if chunked {
			head, part = "Transfer-Encoding: chunked\r\n", chunk
		}
		c := u.dial("/v1/batches?batch=b", "Content-Type: text/csv\r\n"+head, "")
		for _, p := range pieces {
			<-time.After(serverPatience / 3)
			u.send(c, part(p))
		}
		if chunked {
			u.send(c, "0\r\n\r\n")
		}
		var s summary
		if u.answered(c).want(t, 202, &s); s.Enqueued != 5 {
			t.Errorf("%+v", s)
		}
	}
}
