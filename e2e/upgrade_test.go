package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// lastReleaseEnv names the commit or tag of the last release. Without it there is nothing to compare with.
const lastReleaseEnv = "HABILITA_LAST_RELEASE"

// A rolling upgrade, and one that is taken back: workers of the last release and of this one run side by side, and
// the calls that either enqueued are made, by both.
func TestLastReleaseSideBySide(t *testing.T) {
	release := os.Getenv(lastReleaseEnv)
	if release == "" {
		t.Skip(lastReleaseEnv + " is not set")
	}
	old := buildRelease(t, release)
	for _, c := range []struct {
		name     string
		from, to func(l *Lab)
	}{
		{"upgrade", func(l *Lab) { l.bin = old }, func(*Lab) {}},
		{"taken back", func(*Lab) {}, func(l *Lab) { l.bin = old }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := New(t)
			l.StartVendor("--latency=30ms", "--jitter=20ms")
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

// buildRelease builds the commands of a commit of this repository.
func buildRelease(t *testing.T, commit string) Binaries {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	src, dir := t.TempDir(), t.TempDir()
	run := func(in, name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = in
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	archive := filepath.Join(src, "source.tar")
	run(root, "git", "archive", "-o", archive, commit)
	run(src, "tar", "xf", archive)
	run(src, "go", "build", "-o", dir+string(filepath.Separator), "./cmd/worker", "./cmd/enqueue")
	b := binariesIn(dir)
	now, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	b.Simulate = now.Simulate
	return b
}
