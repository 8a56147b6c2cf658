//go:build !linux

package redistest

import "syscall"

// endWithParent can't be had here: a test that is killed leaves its server.
func endWithParent() *syscall.SysProcAttr { return nil }
