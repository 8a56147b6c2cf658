package redistest

import "syscall"

// endWithParent has the kernel kill the server when the test's process is gone.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
