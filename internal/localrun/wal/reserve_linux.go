package wal

import (
	"os"
	"syscall"
)

// keepSize keeps a file's size at what was written, not at what was allocated (FALLOC_FL_KEEP_SIZE).
const keepSize = 1

// preallocate allocates room. If the file system can't do that, the error is errors.ErrUnsupported.
func preallocate(f *os.File, from, to int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), keepSize, from, to-from)
		if err != syscall.EINTR { //nolint:errorlint // the call's own, never wrapped
			return os.NewSyscallError("fallocate", err)
		}
	}
}
