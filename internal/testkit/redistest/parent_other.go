//go:build !linux

package redistest

import "syscall"

// apart gives the server a process group of its own. A test that is killed leaves its server.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
