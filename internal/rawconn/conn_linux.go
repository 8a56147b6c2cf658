//go:build !386

package rawconn

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// Of returns c with reads and writes of its own, which do what those of c do. It takes over c.
func Of(c net.Conn) net.Conn {
	if tcp, ok := c.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			return &conn{tcp, raw}
		}
	}
	return c
}

type conn struct {
	net.Conn
	raw syscall.RawConn
}

func (c *conn) Read(p []byte) (n int, err error) {
	var failed syscall.Errno
	err = c.raw.Read(func(fd uintptr) bool {
		n, failed = call(syscall.SYS_READ, fd, p, 0)
		return failed != syscall.EAGAIN
	})
	if err = c.wrap("read", err, failed); err != nil {
		return 0, err
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (c *conn) Write(p []byte) (done int, err error) {
	var failed syscall.Errno
	err = c.raw.Write(func(fd uintptr) bool {
		for done < len(p) {
			var n int
			if n, failed = call(syscall.SYS_WRITE, fd, p[done:], 0); failed != 0 {
				return failed != syscall.EAGAIN
			}
			done += n
		}
		return true
	})
	return done, c.wrap("write", err, failed)
}

// SyscallConn is for those who look whether an idle connection has ended before they use it again. Its Read does not
// wait: it calls its function only if there is something to read, be it an end or an error.
func (c *conn) SyscallConn() (syscall.RawConn, error) { return unread{c.raw}, nil }

type unread struct{ syscall.RawConn }

func (u unread) Read(f func(fd uintptr) bool) error {
	var there bool
	if err := u.Control(func(fd uintptr) { there = Unread(fd) }); err != nil || !there {
		return err
	}
	return u.RawConn.Read(f)
}

// wrap makes an error as package net makes it, of what the wait or the system call failed with.
func (c *conn) wrap(op string, err error, failed syscall.Errno) error {
	if inner, ok := errors.AsType[*net.OpError](err); ok {
		err = inner.Err
	} else if err == nil && failed != 0 {
		err = os.NewSyscallError(op, failed)
	}
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// call makes a system call that a socket of package net answers at once.
func call(what, fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, failed := syscall.RawSyscall6(what, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		if failed != syscall.EINTR {
			return int(n), failed
		}
	}
}

// Unread reports whether a read of fd would not block: data, an end or an error. It takes nothing away, and does not
// disturb a read that waits.
func Unread(fd uintptr) bool {
	var b [1]byte
	_, failed := call(syscall.SYS_RECVFROM, fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return failed != syscall.EAGAIN
}
