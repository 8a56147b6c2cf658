package wolkvox

import (
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), which package syscall lacks.
const tcpUserTimeout = 0x12

// setAckTimeout drops a connection whose bytes stay unacknowledged for d. A kernel
// without it is no reason to refuse the connection.
func setAckTimeout(fd uintptr, d time.Duration) {
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(max(d.Milliseconds(), 1)))
}
