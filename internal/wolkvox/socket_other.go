//go:build !linux && !darwin

package wolkvox

// readPending can't tell here; a dead connection is found by writing to it.
func readPending(uintptr) bool { return false }
