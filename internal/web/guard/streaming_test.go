package guard_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"habilita/internal/web/guard"
)

// pipes is a listener of connections in memory, which know the time of a synctest bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.done); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// serve serves h in a bubble, with time-outs that are over before anything streams, and calls ask with a
// client for it.
func serve(h http.HandlerFunc, ask func(c *http.Client)) {
	p := pipes{make(chan net.Conn), make(chan struct{})}
	s := &http.Server{Handler: h, ReadTimeout: 300 * time.Millisecond, WriteTimeout: 300 * time.Millisecond}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(p) })
	dialed := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		p.conns <- server
		return client, nil
	}}
	ask(&http.Client{Transport: dialed})
	dialed.CloseIdleConnections()
	_ = s.Close()
	serving.Wait()
}

func TestBodyOutlivesTheReadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan string, 1)
		serve(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(guard.Body(w, r, time.Minute))
			if err != nil {
				t.Error(err)
			}
			got <- string(b)
			_, _ = io.WriteString(guard.Answer(w, r, time.Minute), "thanks")
		}, func(c *http.Client) {
			pr, pw := io.Pipe()
			go func() {
				for range 3 {
					time.Sleep(30 * time.Second)
					_, _ = io.WriteString(pw, "row\n")
				}
				pw.Close()
			}()
			res, err := c.Post("http://x/", "text/csv", pr)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			b, _ := io.ReadAll(res.Body)
			if body := <-got; body != "row\nrow\nrow\n" || string(b) != "thanks" {
				t.Errorf("%q %q", body, b)
			}
		})
	})
}

func TestBodyThatStandsStillEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan error, 1)
		serve(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(guard.Body(w, r, time.Minute))
			failed <- err
		}, func(c *http.Client) {
			pr, pw := io.Pipe()
			asked := make(chan struct{})
			go func() {
				defer close(asked)
				if res, err := c.Post("http://x/", "text/csv", pr); err == nil {
					res.Body.Close()
				}
			}()
			began := time.Now()
			if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
				t.Errorf("%v after %s", err, time.Since(began))
			}
			pw.Close()
			<-asked
		})
	})
}

// The context of a request ends with its connection, and not with the read time-out.
func TestAnswerOutlivesTheTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		serve(func(w http.ResponseWriter, r *http.Request) {
			a := guard.Answer(w, r, time.Minute)
			for range 3 {
				select {
				case <-r.Context().Done():
					t.Error("the request ended")
				case <-time.After(30 * time.Second):
				}
				_, _ = io.WriteString(a, "event\n")
				a.(http.Flusher).Flush()
			}
		}, func(c *http.Client) {
			res, err := c.Get("http://x/")
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if b, err := io.ReadAll(res.Body); string(b) != "event\nevent\nevent\n" {
				t.Errorf("%q %v", b, err)
			}
		})
	})
}
