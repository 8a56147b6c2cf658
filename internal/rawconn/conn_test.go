package rawconn_test

import (
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/net/nettest"

	"habilita/internal/rawconn"
)

// pair returns both ends of a connection over loopback.
func pair() (c1, c2 net.Conn, stop func(), err error) {
	l, err := nettest.NewLocalListener("tcp")
	if err != nil {
		return nil, nil, nil, err
	}
	defer l.Close()
	c1, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, nil, err
	}
	c2, err = l.Accept()
	if err != nil {
		_ = c1.Close()
		return nil, nil, nil, err
	}
	c1, c2 = rawconn.Of(c1), rawconn.Of(c2)
	return c1, c2, func() { _, _ = c1.Close(), c2.Close() }, nil
}

func TestConn(t *testing.T) { nettest.TestConn(t, pair) }

// go-redis and package wolkvox look like this whether an idle connection can be used again. On Linux, that costs one
// system call more and never waits; elsewhere it is for who asks not to wait.
func TestUnreadIsSeen(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH == "386" {
		t.Skip("elsewhere, Of returns what it was given")
	}
	c, peer, stop, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	unread := func() (there bool) {
		t.Helper()
		if err := raw.Read(func(uintptr) bool { there = true; return true }); err != nil {
			t.Fatal(err)
		}
		return there
	}
	if unread() {
		t.Error("something is there before anything was sent")
	}
	if _, err := peer.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	for !unread() { // it is under way
		runtime.Gosched()
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil || unread() {
		t.Errorf("%v, and something is there after it was read", err)
	}
	_ = peer.Close()
	for !unread() {
		runtime.Gosched()
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestOfLeavesOtherConnectionsAlone(t *testing.T) {
	c, _ := net.Pipe()
	defer c.Close()
	if rawconn.Of(c) != c {
		t.Error("a pipe was wrapped")
	}
}
