package wolkvox

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"runtime"
	"testing"
	"time"
)

// TestDeadIdleNoticed: the connection that an attempt was given dies, and net/http
// notices, between getting it and writing. net/http gives a PUT up there, though
// nothing was written; the attempt goes on with another connection.
func TestDeadIdleNoticed(t *testing.T) {
	for _, op := range []Operation{EnableModule, TokenInfo} {
		hangUp := make(chan struct{}, 1)
		s := wire(t, func(s *wireServer, n int64, c *net.TCPConn, r *bufio.Reader) {
			if s.readRequest(r) == nil {
				return
			}
			c.Write([]byte(answerText(202, success)))
			if n == 1 {
				<-hangUp
			} else {
				s.readRequest(r)
			}
		})
		c := newClient(t, Config{URL: s.url()})
		if _, err := do(t, c, op, testRequest()); err != nil {
			t.Fatal(err)
		}
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			if !info.Reused {
				return
			}
			hangUp <- struct{}{}
			// Until the reading side has closed it.
			for !errors.Is(info.Conn.SetWriteDeadline(time.Time{}), net.ErrClosed) {
				runtime.Gosched()
			}
		}})
		ans, err := c.Do(ctx, op, testRequest())
		checkEnd(t, ans, err)
		if err != nil || s.requests.Load() != 2 || s.conns.Load() != 2 {
			t.Errorf("%s: %v, %d requests on %d connections", op.method(), err, s.requests.Load(), s.conns.Load())
		}
	}
}

func TestDialBounds(t *testing.T) {
	d := &dialer{timeout: time.Hour}
	dial := func(a *attempt) (context.Context, error) {
		ctx, cancel, err := d.bound(context.WithValue(t.Context(), attemptKey{}, a))
		if err == nil {
			cancel()
		}
		return ctx, err
	}
	by := time.Now().Add(time.Minute)
	ctx, err := dial(&attempt{writeBy: by})
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := ctx.Deadline(); !ok || !got.Equal(by) {
		t.Errorf("until %s, want %s", got, by)
	}
	for name, c := range map[string]struct {
		a    *attempt
		want error
	}{
		"written": {&attempt{owner: &guardConn{}}, errTwice},
		"late":    {&attempt{writeBy: time.Now(), closed: true}, errLate},
		"over":    {&attempt{closed: true}, errOver},
	} {
		if _, err := dial(c.a); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
