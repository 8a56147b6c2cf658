package e2e

import "syscall"

// endWithParent has the kernel kill a process when the test's is gone.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
