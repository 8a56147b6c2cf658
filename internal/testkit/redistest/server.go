package redistest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	startTime = 10 * time.Second // for a server to answer PING
	stopTime  = 5 * time.Second  // for a server to end on SIGTERM
	portTries = 5                // a free port may be taken before the server has it
)

// Server is a real redis-server. Its methods are for one goroutine, and end the
// test if they fail.
type Server struct {
	Addr string // host:port; stays over a restart
	URL  string // redis://host:port/0
	Dir  string // has the append-only file and redis.log; stays over a restart

	tb      testing.TB
	bin     string
	args    []string
	at      *Place        // nil: loopback of this process
	cluster bool          // it is a node of one
	bus     string        // the port of the cluster's bus
	conf    string        // Sentinel's configuration file; "": it is no Sentinel
	proc    *os.Process   // nil: not running
	done    chan struct{} // closed when proc has ended
}

// programEnv names a program to run instead of redis-server, on PATH or by its path, such as valkey-server.
const programEnv = "HABILITA_REDIS_SERVER"

// Program is the server that tests run.
func Program() string { return cmp.Or(os.Getenv(programEnv), "redis-server") }

// program returns the path of Program. If there is none, it skips the test.
func program(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath(Program())
	if err != nil && os.Getenv("HABILITA_REQUIRE_REDIS") == "1" {
		tb.Fatal("HABILITA_REQUIRE_REDIS=1: ", err)
	}
	if err != nil {
		tb.Skip("no server: ", err)
	}
	return path
}

// Place is a separate host that a server can run on.
type Place struct {
	IP     string
	Within []string // the command that runs another command there
}

// StartAt is Start on a host of its own.
func StartAt(tb testing.TB, at *Place, args ...string) *Server {
	tb.Helper()
	s := &Server{tb: tb, args: args, Dir: tb.TempDir(), at: at}
	s.begin()
	return s
}

// Start starts a server. The args follow its own on the command line, for example
// "--maxmemory-policy", "allkeys-lru".
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return StartAt(tb, nil, args...)
}

// begin looks for the binary and a port, and launches the server.
func (s *Server) begin() {
	s.tb.Helper()
	s.bin = program(s.tb)
	s.tb.Cleanup(s.Kill)
	var err error
	for range portTries {
		if s.Addr, err = freeAddr(); err != nil {
			continue
		}
		if s.cluster {
			if s.bus, err = freePort(); err != nil {
				continue
			}
		}
		if s.at != nil {
			_, port, _ := net.SplitHostPort(s.Addr)
			s.Addr = net.JoinHostPort(s.at.IP, port)
		}
		s.URL = "redis://" + s.Addr + "/0"
		if err = s.launch(); err == nil {
			return
		}
	}
	s.tb.Fatalf("redis-server does not start: %v\n%s", err, s.log())
}

// Client returns a new client of the server. It is closed when the test ends.
func (s *Server) Client() *redis.Client {
	s.tb.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr})
	s.tb.Cleanup(func() { _ = c.Close() })
	return c
}

// Kill ends the server and its children as a crash does (SIGKILL), and waits for the server to end. Up
// to a second of writes may be lost. Without a running server it does nothing.
func (s *Server) Kill() {
	if s.proc != nil {
		// A child that outlived it would write into a directory that the test deletes.
		_ = syscall.Kill(-s.proc.Pid, syscall.SIGKILL)
		<-s.done
		s.proc = nil
	}
}

// Stop ends the server cleanly (SIGTERM), and waits for it. Nothing is lost.
// Without a running server it does nothing.
func (s *Server) Stop() {
	s.tb.Helper()
	if s.proc == nil {
		return
	}
	_ = s.proc.Signal(syscall.SIGCONT)
	_ = s.proc.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
		s.proc = nil
	case <-time.After(stopTime):
		s.Kill()
		s.tb.Fatalf("redis-server does not stop\n%s", s.log())
	}
}

// Restart starts the server again with the same address and data. If it runs, Restart
// stops it first.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Stop()
	if err := s.launch(); err != nil {
		s.tb.Fatalf("redis-server does not start again: %v\n%s", err, s.log())
	}
}

// Pause makes the server stand still (SIGSTOP): connections stay open, but nothing
// answers.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.tb.Helper()
	if s.proc == nil {
		s.tb.Fatal("redis-server does not run")
	}
	if err := s.proc.Signal(sig); err != nil {
		s.tb.Fatal(err)
	}
}

// launch starts the process and waits until it answers.
func (s *Server) launch() error {
	line := append([]string{s.bin}, s.commandLine()...)
	if s.at != nil {
		line = append(slices.Clone(s.at.Within), line...)
	}
	cmd := exec.Command(line[0], line[1:]...)
	cmd.SysProcAttr = apart()
	started, done := make(chan error), make(chan struct{})
	go func() {
		// The signal at the parent's end depends on the thread that started the
		// process, so this thread must stay until the process has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.proc, s.done = cmd.Process, done
	if err := s.waitReady(); err != nil {
		s.Kill()
		return err
	}
	return nil
}

func (s *Server) commandLine() []string {
	ip, port, _ := net.SplitHostPort(s.Addr)
	line := []string{"--port", port, "--bind", ip, "--dir", s.Dir, "--daemonize", "no",
		"--logfile", filepath.Join(s.Dir, "redis.log")}
	if s.at != nil {
		line = append(line, "--protected-mode", "no")
	}
	if s.conf != "" {
		return append([]string{s.conf, "--sentinel"}, line...)
	}
	if s.cluster {
		line = append(line, "--cluster-enabled", "yes", "--cluster-port", s.bus)
	}
	line = append(line, "--save", "", "--repl-diskless-sync-delay", "0", "--appendonly", "yes", "--appendfsync", "everysec")
	return append(line, s.args...)
}

// waitReady asks again and again until the server of this process answers.
func (s *Server) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		ready, err := s.answers(ctx)
		if ready {
			return err
		}
		select {
		case <-s.done:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("no answer in %s: %w", startTime, err)
		case <-tick.C:
		}
	}
}

// answers tells whether somebody answers PING. An error with true means that it is
// not the server that was started.
func (s *Server) answers(ctx context.Context) (bool, error) {
	// A bare dial first: go-redis logs each one that fails, and slows down.
	probe, err := net.DialTimeout("tcp", s.Addr, startTime)
	if err != nil {
		return false, err
	}
	_ = probe.Close()
	c := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DialerRetries: 1})
	defer c.Close()
	info, err := c.Do(ctx, s.nameOf("INFO"), "server").Text()
	if redis.HasErrorPrefix(err, "NOAUTH") {
		return true, nil
	}
	if err == nil && !strings.Contains(info, fmt.Sprintf("process_id:%d\r", s.proc.Pid)) {
		return true, errors.New("another server has taken its port")
	}
	if err == nil {
		err = c.Ping(ctx).Err() // LOADING until its data is read
	}
	return err == nil, err
}

// nameOf returns what a command is called; the server's "--rename-command" may have changed it.
func (s *Server) nameOf(command string) string {
	for i := 0; i+2 < len(s.args); i++ {
		if s.args[i] == "--rename-command" && s.args[i+1] == command {
			return s.args[i+2]
		}
	}
	return command
}

func (s *Server) log() string {
	b, _ := os.ReadFile(filepath.Join(s.Dir, "redis.log"))
	return string(b[max(0, len(b)-4096):])
}

func freeAddr() (string, error) {
	port, err := freePort()
	return net.JoinHostPort("127.0.0.1", port), err
}

// freePort returns a port that nobody uses, below those that systems give to outgoing connections. So none
// of these can take the port while its server is down and is to come back at the same address.
func freePort() (string, error) {
	const lowest, above = 10_000, 32_768
	for {
		port := strconv.Itoa(lowest + rand.IntN(above-lowest))
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return "", err
		}
		return port, l.Close()
	}
}
