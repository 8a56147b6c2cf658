package redistest

import "syscall"

// apart puts the server and its children (BGSAVE, AOF rewrite) in a process group of their own. The kernel kills
// the server when the test's process is gone.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
