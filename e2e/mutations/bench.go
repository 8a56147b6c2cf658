package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// testLimit ends a test that a mutation made wait for ever.
	testLimit = "45s"
	mutated   = "mutated.test"
)

// bench is a copy of both modules in which mutations are tried.
type bench struct {
	dir   string
	whole map[string]string // by package: its tests, built without a mutation
}

// newBench copies what git knows of both modules, and new files that it does not ignore.
func newBench(ctx context.Context, root string) (*bench, error) {
	list := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	dir, err := os.MkdirTemp("", "habilita-mutations-")
	if err != nil {
		return nil, err
	}
	b := &bench{dir, map[string]string{}}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if err := copyFile(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
			return nil, errors.Join(err, b.close())
		}
	}
	if err := b.scriptsFromFiles(); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// copyFile copies a file; one that git knows and is deleted is left out.
func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, text, info.Mode().Perm()|0o200)
}

func (b *bench) close() error { return os.RemoveAll(b.dir) }

// baseline requires that every test passes, and is not skipped, without any mutation.
func (b *bench) baseline(ctx context.Context, of []mutation) error {
	done := map[string]bool{}
	for _, m := range of {
		if done[m.Package+m.Test] {
			continue
		}
		done[m.Package+m.Test] = true
		if b.whole[m.Package] == "" {
			name := fmt.Sprintf("whole%d.test", len(b.whole))
			if err := b.build(ctx, m.Package, name); err != nil {
				return err
			}
			b.whole[m.Package] = name
		}
		out, err := b.test(ctx, m, b.whole[m.Package])
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || !strings.Contains(out, "--- PASS: "+m.Test+" (") {
			return fmt.Errorf("%s %s does not pass without a mutation (%w):\n%s", m.Package, m.Test, err, indent(out))
		}
	}
	return nil
}

// verdict is what became of a mutation.
type verdict struct {
	caught bool
	took   time.Duration
	output string
}

// try does a mutation, runs its test, and undoes it. A mutation that does not compile
// proves nothing and is an error.
func (b *bench) try(ctx context.Context, m mutation) (v verdict, err error) {
	began := time.Now()
	before, after, err := m.apply(b.dir)
	if err != nil {
		return verdict{}, err
	}
	defer func() { err = errors.Join(err, writeTexts(before)) }()
	if err := writeTexts(after); err != nil {
		return verdict{}, err
	}
	binary := b.whole[m.Package]
	if !m.ofScripts() {
		binary = mutated
		if err := b.build(ctx, m.Package, binary); err != nil {
			return verdict{}, err
		}
	}
	out, err := b.test(ctx, m, binary)
	if ctx.Err() != nil {
		return verdict{}, ctx.Err()
	}
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return verdict{}, err
	}
	// The test itself must say so, or be what a panic or the limit ended.
	caught := err != nil && (strings.Contains(out, "--- FAIL: "+m.Test+" (") || strings.Contains(out, "\npanic: "))
	return verdict{caught, time.Since(began), out}, nil
}

func writeTexts(texts map[string]string) error {
	var failed error
	for name, text := range texts {
		failed = errors.Join(failed, os.WriteFile(name, []byte(text), 0o600))
	}
	return failed
}

func (b *bench) build(ctx context.Context, pkg, binary string) error {
	module, pkg := moduleOf(pkg)
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-ldflags=-w", "-o", filepath.Join(b.dir, binary), pkg)
	cmd.Dir = filepath.Join(b.dir, module)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s does not compile: %w\n%s", pkg, err, out)
	}
	return nil
}

// moduleOf is the folder of the module that a package is of, and the package from there.
func moduleOf(pkg string) (module, from string) {
	if rest, ok := strings.CutPrefix(pkg, "./e2e"); ok && (rest == "" || rest[0] == '/') {
		return "e2e", "." + rest
	}
	return ".", pkg
}

// test runs the test that was built for the mutation; tests that want a real Redis fail
// where they would be skipped.
func (b *bench) test(ctx context.Context, m mutation, binary string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, binary), "-test.run", pattern(m.Test), "-test.v", "-test.timeout", testLimit)
	cmd.Dir = filepath.Join(b.dir, m.Package)
	cmd.Env = append(os.Environ(), "HABILITA_REQUIRE_REDIS=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	return out.String(), err
}
