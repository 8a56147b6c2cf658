//go:build !linux

package wolkvox

import "time"

// setAckTimeout does nothing where TCP_USER_TIMEOUT is not known.
func setAckTimeout(uintptr, time.Duration) {}
