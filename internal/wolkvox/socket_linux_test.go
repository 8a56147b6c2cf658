package wolkvox

import (
	"net"
	"syscall"
	"testing"
	"time"
)

func TestAckTimeoutIsSet(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := newClient(t, Config{URL: "http://127.0.0.1:1", AckTimeout: 7 * time.Second})
	conn, err := c.connect(t.Context(), ln.Addr().String(), time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rc, err := conn.raw.Conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	rc.Control(func(fd uintptr) { got, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout) })
	if err != nil || got != 7000 {
		t.Errorf("%d ms, %v", got, err)
	}
}
