package redisconn

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"habilita/internal/testkit/redistest"
)

// A patient client bears a Redis that is away, and an impatient one says so.
func TestPatientClientBearsARestart(t *testing.T) {
	server := redistest.Start(t)
	var refused atomic.Int64
	often := make(chan struct{})
	dialer := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil && refused.Add(1) == 8 {
			close(often) // more than an impatient client tries
		}
		return c, err
	}
	open := func(o Options) func() error {
		c, err := Open(server.URL, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if err := c.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return func() error { return c.Set(t.Context(), "k", "v", 0).Err() }
	}
	patient, other := open(Options{Patient: true, Dialer: dialer}), open(Options{})
	server.Stop()
	if err := other(); err == nil {
		t.Error("it was answered by nobody")
	}
	done := make(chan error, 1)
	go func() { done <- patient() }()
	<-often
	server.Restart()
	if err := <-done; err != nil {
		t.Errorf("after the restart: %v", err)
	}
}
