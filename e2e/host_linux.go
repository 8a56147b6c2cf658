package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// ownNetworkEnv is set in a process that OwnNetwork started.
const ownNetworkEnv = "HABILITA_LAB_NETWORK"

// HasOwnNetwork reports whether this process runs in a network of its own, so that it can make hosts.
func HasOwnNetwork() bool { return os.Getenv(ownNetworkEnv) != "" }

// OwnNetwork runs this program again, with the same arguments, in a network namespace of its own with
// loopback and nothing else, and returns its exit status. It does nothing (false) in that process itself, and
// without root, ip, iptables or nsenter. It builds the binaries first, since nothing can be downloaded there.
func OwnNetwork() (status int, done bool) {
	if HasOwnNetwork() || os.Getuid() != 0 {
		return 0, false
	}
	for _, tool := range []string{"ip", "iptables", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			return 0, false
		}
	}
	self, err := os.Executable()
	if err != nil {
		return 0, false
	}
	defer Remove()
	bin, err := Build()
	if err != nil {
		return 0, false // the test asks for them again, and says why they fail
	}
	download := exec.Command("go", "mod", "download")
	download.Dir, _ = Root()
	_ = download.Run() // if one is missing, what needs it says so
	cmd := exec.Command("sh", append([]string{"-c", `set -e
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
exec "$@"`, "sh", self}, os.Args[1:]...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), ownNetworkEnv+"=1", binariesEnv+"="+filepath.Dir(bin.Worker))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the signal at the parent's end is bound to this thread
	defer runtime.UnlockOSThread()
	_ = cmd.Run()
	if cmd.ProcessState == nil {
		return 0, false
	}
	return cmd.ProcessState.ExitCode(), true
}

// holdNamespace starts a process that does nothing in a network namespace of its own, in
// which the file is /etc/hosts.
func holdNamespace(tb testing.TB, file string) (pid int) {
	tb.Helper()
	if !HasOwnNetwork() {
		tb.Fatal("this process has no network of its own to make hosts in")
	}
	cmd := exec.Command("sh", "-c", `mount --make-rprivate / && mount --bind "$1" /etc/hosts && echo ready && exec sleep infinity`, "sh", file)
	ready, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	if _, err := ready.Read(make([]byte, 16)); err != nil {
		tb.Fatalf("a host with /etc/hosts of its own: %v", err)
	}
	return cmd.Process.Pid
}
