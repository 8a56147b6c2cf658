//go:build !linux

package wal

import (
	"errors"
	"os"
)

// preallocate does nothing on this system: room is allocated by writing zeros.
func preallocate(*os.File, int64, int64) error { return errors.ErrUnsupported }
