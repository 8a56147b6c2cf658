package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// Standalone runs f with a testing.TB outside a test, for a command. Failures and
// logs go to out. It returns after all cleanups, and reports whether f succeeded.
func Standalone(ctx context.Context, name string, out io.Writer, f func(tb testing.TB)) bool {
	ctx, cancel := context.WithCancel(ctx)
	t := &standalone{ctx: ctx, cancel: cancel, name: name, out: out}
	done := make(chan struct{})
	go func() { // Fatal and Skip end the goroutine
		defer close(done)
		f(t)
	}()
	<-done
	cancel()
	for {
		t.mu.Lock()
		n := len(t.cleanups)
		if n == 0 {
			t.mu.Unlock()
			break
		}
		c := t.cleanups[n-1]
		t.cleanups = slices.Delete(t.cleanups, n-1, n)
		t.mu.Unlock()
		over := make(chan struct{})
		go func() {
			defer close(over)
			c()
		}()
		<-over
	}
	return !t.Failed()
}

// standalone is a testing.TB; the nil TB in it stands for the methods that are not needed.
type standalone struct {
	testing.TB
	ctx    context.Context
	cancel context.CancelFunc
	name   string

	mu       sync.Mutex
	out      io.Writer
	failed   bool
	skipped  bool
	cleanups []func()
}

func (t *standalone) Helper()                  {}
func (t *standalone) Name() string             { return t.name }
func (t *standalone) Context() context.Context { return t.ctx }

func (t *standalone) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

func (t *standalone) TempDir() string {
	dir, err := os.MkdirTemp("", "habilita-lab-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (t *standalone) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

func (t *standalone) Skipped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.skipped
}

func (t *standalone) print(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = fmt.Fprintf(t.out, "%s: %s\n", t.name, s)
}

func (t *standalone) Fail() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = true
}

func (t *standalone) FailNow() { t.Fail(); runtime.Goexit() }
func (t *standalone) SkipNow() {
	t.mu.Lock()
	t.skipped = true
	t.mu.Unlock()
	runtime.Goexit()
}
func (t *standalone) Log(a ...any)              { t.print(fmt.Sprint(a...)) }
func (t *standalone) Logf(f string, a ...any)   { t.print(fmt.Sprintf(f, a...)) }
func (t *standalone) Error(a ...any)            { t.Log(a...); t.Fail() }
func (t *standalone) Errorf(f string, a ...any) { t.Logf(f, a...); t.Fail() }
func (t *standalone) Fatal(a ...any)            { t.Log(a...); t.FailNow() }
func (t *standalone) Fatalf(f string, a ...any) { t.Logf(f, a...); t.FailNow() }
func (t *standalone) Skip(a ...any)             { t.Log(a...); t.SkipNow() }
func (t *standalone) Skipf(f string, a ...any)  { t.Logf(f, a...); t.SkipNow() }
