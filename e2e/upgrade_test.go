package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// lastRelease is the commit that stands for the last release. Until there is one, it is the last commit before the ledger's
// fields changed. At a release, put its commit here.
const lastRelease = "28e85adc133f2e410ed7a88f38a0828cbb1de0dd"

// lastReleaseEnv names another commit or tag. requireReleaseEnv, set to 1, fails the test if there is no such commit.
const (
	lastReleaseEnv    = "HABILITA_LAST_RELEASE"
	requireReleaseEnv = "HABILITA_REQUIRE_LAST_RELEASE"
)

// A rolling upgrade, and one that is taken back: workers of the last release and of this one run side by side. Both
// make the calls that either of them enqueued.
func TestLastReleaseSideBySide(t *testing.T) {
	old := buildRelease(t)
	for _, c := range []struct {
		name     string
		from, to func(l *Lab)
	}{
		{"upgrade", func(l *Lab) { l.bin = old }, func(*Lab) {}},
		{"taken back", func(*Lab) {}, func(l *Lab) { l.bin = old }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := New(t)
			l.Set("CALL_TIMEOUT", "20s", "VENDOR_TIMEOUT", "20s", "SHUTDOWN_TIMEOUT", "30s") // no outcome is unknown on a slow machine
			l.StartVendor("--latency=60ms", "--jitter=20ms")
			now := l.bin
			c.from(l)
			first := Plan{Batch: "first", Rows: Chained(2, Many(20, 20, good))}
			l.Bulk(first)
			before := l.Workers(2, "CONCURRENCY", "16")
			l.Vendor.AwaitRequests(100, 0)
			l.bin = now
			c.to(l)
			second := Plan{Batch: "second", Rows: Chained(2, Many(20, 20, good))}
			l.Bulk(second)
			l.Workers(1, "CONCURRENCY", "16") // side by side
			l.Vendor.AwaitRequests(250, 0)
			for _, w := range before {
				w.Term()
				if code := w.Wait(Patience); code != 0 {
					t.Errorf("%s: exit %d", w.Name, code)
				}
			}
			l.AwaitSettled(first.Batch, 0)
			l.AwaitSettled(second.Batch, 0)
			l.bin = now
			if v := l.MustKeep(Terms{}, first, second); v.Succeeded != len(first.Rows)+len(second.Rows) || v.Extra != 0 {
				t.Errorf("%+v", v)
			}
		})
	}
}

// This version and the last release refuse by name what a later version wrote.
func TestLaterVersionIsRefused(t *testing.T) {
	old := buildRelease(t)
	l := New(t)
	now := l.bin
	l.MustEnqueue("bulk", l.File("first.csv", "server,token\n1,token-a\n"))
	if err := l.Client().Set(t.Context(), "habilita:format:{habilita:naming}", "99", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for name, bin := range map[string]Binaries{"this version": now, "the last release": old} {
		l.bin = bin
		w := l.StartWorker()
		code := w.Wait(Patience)
		e := l.EnqueueWith([]string{"WOLKVOX_TOKEN", "token-b"}, "", "call", "--server", "1")
		const says = "later version of habilita"
		if code != 1 || !strings.Contains(w.Tail(8), says) || e.Exit != 1 || !strings.Contains(e.Stderr, says) {
			t.Errorf("%s: the worker's exit %d, %s\nenqueue: %s", name, code, w.Tail(8), e)
		}
	}
}

// buildRelease builds the commands of the last release, once.
func buildRelease(t *testing.T) Binaries {
	t.Helper()
	b, err := builtRelease()
	if errors.Is(err, errNoRelease) && os.Getenv(requireReleaseEnv) != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var errNoRelease = errors.New("the last release is not in the history of this repository (a clone needs all of it)")

var builtRelease = sync.OnceValues(func() (Binaries, error) {
	commit := cmp.Or(os.Getenv(lastReleaseEnv), lastRelease)
	root, err := Root()
	if err != nil {
		return Binaries{}, err
	}
	now, err := Build()
	if err != nil {
		return Binaries{}, err
	}
	run := func(in, name string, args ...string) error {
		cmd := exec.Command(name, args...)
		cmd.Dir = in
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %v: %w\n%s", name, args, err, out)
		}
		return nil
	}
	if err := run(root, "git", "-c", "safe.directory=*", "cat-file", "-e", commit+"^{commit}"); err != nil {
		return Binaries{}, fmt.Errorf("%w: %w", errNoRelease, err)
	}
	if buildDir == "" { // Build built nothing
		if buildDir, err = os.MkdirTemp("", "habilita-lab-"); err != nil {
			return Binaries{}, err
		}
	}
	dir := filepath.Join(buildDir, "last-release")
	src := filepath.Join(dir, "src")
	if err := os.MkdirAll(src, 0o755); err != nil {
		return Binaries{}, err
	}
	archive := filepath.Join(dir, "source.tar")
	if err := run(root, "git", "-c", "safe.directory=*", "archive", "-o", archive, commit); err != nil {
		return Binaries{}, err
	}
	if err := run(src, "tar", "xf", archive); err != nil {
		return Binaries{}, err
	}
	b := binariesIn(dir)
	b.Simulate = now.Simulate
	return b, run(src, "go", "build", "-o", dir+string(filepath.Separator), "./cmd/worker", "./cmd/enqueue")
})
