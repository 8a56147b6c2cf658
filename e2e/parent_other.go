//go:build !linux

package e2e

import "syscall"

// endWithParent can't be had here: a test that is killed leaves its processes.
func endWithParent() *syscall.SysProcAttr { return nil }
