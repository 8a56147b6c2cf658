//go:build !linux

package e2e

import "syscall"

// endWithParent does nothing here: if a test is killed, its processes go on.
func endWithParent() *syscall.SysProcAttr { return nil }
