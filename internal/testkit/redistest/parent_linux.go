package redistest

import "syscall"

// apart gives the server a process group of its own, with its children (BGSAVE, AOF rewrite), and has the kernel
// kill it when the test's process is gone.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
