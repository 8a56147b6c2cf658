//go:build linux || darwin

package wolkvox

import (
	"errors"
	"net"
	"runtime"
	"testing"
)

// Nothing is written to an idle connection that its peer has closed: the attempt is as
// new, and goes on with another one. On a connection that is new nobody asks.
func TestGuardAsksWhetherAnIdleConnectionLives(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	raw := &countConn{Conn: conn}
	c, a := &guardConn{Conn: raw, raw: raw}, &attempt{}
	if raw.stale() {
		t.Fatal("a living connection is taken for a dead one")
	}
	_ = peer.Close()
	for !raw.stale() { // the peer's end is under way
		runtime.Gosched()
	}
	c.arm(a, true)
	if n, err := c.Write([]byte("ab")); n != 0 || !errors.Is(err, errStale) || a.written() || raw.sent.Load() != 0 {
		t.Errorf("%d bytes, %v; written %t", n, err, a.written())
	}
	c.arm(a, false)
	if n, err := c.Write([]byte("ab")); n != 2 || err != nil || !a.written() {
		t.Errorf("not asked: %d bytes, %v", n, err)
	}
}
