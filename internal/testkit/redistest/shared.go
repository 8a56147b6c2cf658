package redistest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// databases is how many tests of one process can share its server.
const databases = 4096

// watchdog runs a server until its standard input ends, which happens when the test's process ends, in whatever way.
// First it prints the server's process ID.
const watchdog = `"$@" >/dev/null 2>&1 & echo $!; cat >/dev/null; kill -9 $!`

var (
	usedDatabases atomic.Int64
	sharedServer  = sync.OnceValues(startShared)
	watchdogs     []io.WriteCloser // their standard inputs, kept here because Go closes a file that nothing refers to
)

// Shared gives the test an empty database of the one redis-server that the tests of a process share. The first of
// them starts it. It keeps nothing on disk, and has no FLUSHALL.
func Shared(tb testing.TB) Backend {
	tb.Helper()
	program(tb)
	addr, err := sharedServer()
	if err != nil {
		tb.Fatal(err)
	}
	db := int(usedDatabases.Add(1)) - 1
	c := redis.NewClient(&redis.Options{Addr: addr, DB: db})
	tb.Cleanup(func() {
		c.FlushDBAsync(context.Background()) // for its memory
		_ = c.Close()
	})
	return Backend{Name: "redis", Client: c, Addr: addr, DB: db, URL: fmt.Sprintf("redis://%s/%d", addr, db)}
}

func startShared() (addr string, err error) {
	for range portTries {
		if addr, err = freeAddr(); err == nil {
			err = startUntilTheEnd(addr)
		}
		if err == nil {
			return addr, nil
		}
	}
	return "", fmt.Errorf("the shared redis-server does not start: %w", err)
}

// startUntilTheEnd starts a server that ends with this process.
func startUntilTheEnd(addr string) error {
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command("sh", "-c", watchdog, "sh", Program(), "--port", port, "--bind", "127.0.0.1", "--daemonize", "no",
		"--save", "", "--appendonly", "no", "--databases", strconv.Itoa(databases), "--rename-command", "FLUSHALL", "")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is the test's own
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	watchdogs = append(watchdogs, in)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		return err
	}
	s := &Server{Addr: addr}
	if s.proc, err = os.FindProcess(pid); err != nil {
		return err
	}
	return s.waitReady()
}
