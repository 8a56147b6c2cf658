//go:build darwin || (linux && 386)

package rawconn

import "syscall"

// Unread reports whether a read of fd would not block: data, an end or an error. It takes nothing away, and does not
// disturb a read that waits.
func Unread(fd uintptr) bool {
	for {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err == syscall.EINTR {
			continue
		}
		return err != syscall.EAGAIN
	}
}
