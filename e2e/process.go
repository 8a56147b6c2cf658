package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that runs beside the test. Its methods are for one goroutine,
// except those that read what it wrote.
type Process struct {
	Name string

	tb   testing.TB
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and its output was read
	err  error         // of Wait; valid after done

	mu    sync.Mutex
	lines []string      // of standard output and error output, in order of arrival
	news  chan struct{} // closed and replaced at each line
	out   *os.File      // the same, for I7 and for people
}

// start starts a program that ends with the test. Everything that it writes is kept in
// dir/NAME.log.
func start(tb testing.TB, name, dir, bin string, env []string, args ...string) *Process {
	tb.Helper()
	out, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	p := &Process{Name: name, tb: tb, cmd: exec.Command(bin, args...), done: make(chan struct{}), news: make(chan struct{}), out: out}
	p.cmd.Env, p.cmd.Dir = env, dir
	p.cmd.SysProcAttr = endWithParent()
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(r)
	}()
	started := make(chan error)
	go func() {
		// The signal at the parent's end depends on the thread that started the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
		_ = w.Close()
		<-read
		_ = out.Close()
		close(p.done)
	}()
	if err := <-started; err != nil {
		tb.Fatalf("start %s: %v", name, err)
	}
	tb.Cleanup(p.Kill)
	return p
}

func (p *Process) read(r io.Reader) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			_, _ = p.out.WriteString(line)
			p.mu.Lock()
			p.lines = append(p.lines, strings.TrimRight(line, "\n"))
			close(p.news)
			p.news = make(chan struct{})
			p.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

// Log returns everything that it has written so far.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// Tail returns the last n lines that it wrote.
func (p *Process) Tail(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines[max(0, len(p.lines)-n):], "\n")
}

// Ended reports whether it ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// WaitLine waits for a line that contains text, and returns the first one.
func (p *Process) WaitLine(text string, timeout time.Duration) string {
	p.tb.Helper()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	seen := 0
	for {
		p.mu.Lock()
		news := p.news
		for ; seen < len(p.lines); seen++ {
			if strings.Contains(p.lines[seen], text) {
				line := p.lines[seen]
				p.mu.Unlock()
				return line
			}
		}
		p.mu.Unlock()
		select {
		case <-news:
		case <-p.done:
			if p.seen() > seen {
				continue
			}
			p.tb.Fatalf("%s ended (%v) and never wrote %q\n%s", p.Name, p.err, text, p.Tail(20))
		case <-deadline.C:
			p.tb.Fatalf("%s did not write %q within %s\n%s", p.Name, text, timeout, p.Tail(20))
		}
	}
}

func (p *Process) seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lines)
}

// Kill ends it as a crash does (SIGKILL), and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Term asks it to end (SIGTERM) and does not wait.
func (p *Process) Term() { p.signal(syscall.SIGTERM) }

// Pause makes it stand still (SIGSTOP).
func (p *Process) Pause() { p.signal(syscall.SIGSTOP) }

// Resume lets a paused one go on.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.tb.Fatalf("%s: %v", p.Name, err)
	}
}

// Wait waits for its end and returns the exit status; -1 after a signal.
func (p *Process) Wait(timeout time.Duration) int {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	select {
	case <-p.done:
	case <-ctx.Done():
		p.tb.Fatalf("%s did not end within %s\n%s", p.Name, timeout, p.Tail(30))
	}
	return p.cmd.ProcessState.ExitCode()
}

// PID returns its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Args returns its arguments as the machine shows them to everybody; nil: it does not show them.
func (p *Process) Args() []byte {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID()))
	return b
}
