package wal

import (
	"errors"
	"os"
	"syscall"
)

// keepSize lets a file's size be what was written, not what was got (FALLOC_FL_KEEP_SIZE).
const keepSize = 1

// preallocate gets room where the file system can; done says that it can.
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
