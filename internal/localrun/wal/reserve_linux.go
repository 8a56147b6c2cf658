package wal

import (
	"errors"
	"os"
	"syscall"
)

// keepSize keeps a file's size at what was written, not at what was allocated (FALLOC_FL_KEEP_SIZE).
const keepSize = 1

// preallocate allocates room if the file system can; done says that it can.
func preallocate(f *os.File, from, to int64) (done bool, err error) {
	for {
		err := syscall.Fallocate(int(f.Fd()), keepSize, from, to-from)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
			return false, nil
		case err != nil:
			return true, os.NewSyscallError("fallocate", err)
		}
		return true, nil
	}
}
