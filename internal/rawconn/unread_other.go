//go:build !linux && !darwin

package rawconn

// Unread is true: it can't be known here.
func Unread(uintptr) bool { return true }
