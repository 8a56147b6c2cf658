//go:build linux || darwin

package wolkvox

import (
	"errors"
	"net"
	"runtime"
	"testing"
	"time"
)

// Nothing is written to an idle connection that its peer has closed. The attempt goes on
// with another one, as if it were new. A new connection is not asked.
func TestIdleConnectionIsAskedWhetherItLives(t *testing.T) {
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
	c := newConn(raw, raw)
	if raw.stale() {
		t.Fatal("a living connection is taken for a dead one")
	}
	_ = peer.Close()
	for !raw.stale() { // the peer's end is under way
		runtime.Gosched()
	}
	if written, err := c.send(t.Context(), []byte("ab"), time.Time{}, true); written || !errors.Is(err, errStale) || raw.sent != 0 {
		t.Errorf("%d bytes, %v; written %t", raw.sent, err, written)
	}
	if written, err := c.send(t.Context(), []byte("ab"), time.Time{}, false); !written || err != nil || raw.sent != 2 {
		t.Errorf("not asked: %d bytes, %v", raw.sent, err)
	}
}
