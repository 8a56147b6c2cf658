package e2e

import "syscall"

// endWithParent makes the kernel kill a process when the test's process is gone.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
