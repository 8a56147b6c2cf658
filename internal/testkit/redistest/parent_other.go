//go:build !linux

package redistest

import "syscall"

// apart puts the server in a process group of its own. If the test is killed, its server goes on.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
