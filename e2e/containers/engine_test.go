//go:build linux

package containers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"habilita/e2e"
)

// patience is how long a command or a wait may take on a slow machine.
const patience = 15 * time.Minute

// The networks of the engine: addresses that are meant for tests, in a network namespace of its own.
const (
	bridge = "198.18.0.1/24"
	pool   = "base=198.18.128.0/17,size=24"
	subnet = "198.18.88"
)

// hostEnv names an engine to use instead of starting one. It must run already and have the images. This is
// for people who write tests. All its containers are removed.
const hostEnv = "HABILITA_CONTAINERS_HOST"

// engine is a dockerd for the tests.
type engine struct {
	tb      testing.TB
	host    string   // as DOCKER_HOST
	compose []string // "docker compose", or "docker-compose"
	pid     int      // a process in its namespaces; 0: not known
}

var shared *engine

func TestMain(m *testing.M) {
	code := m.Run()
	if shared != nil {
		shared.tb.(*standing).end()
	}
	e2e.Remove()
	os.Exit(code)
}

// standing is a testing.TB that outlives a test, for what all tests share. Its failures go to the
// test that asked for the engine last.
type standing struct {
	testing.TB
	cleanups []func()
}

func (s *standing) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *standing) end() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}

// startEngine returns the engine with its images; the first test that asks for it waits a minute or more.
func startEngine(t *testing.T) *engine {
	t.Helper()
	if shared != nil {
		shared.tb.(*standing).TB = t
		return shared
	}
	if os.Getenv("HABILITA_CONTAINERS") != "all" {
		t.Skip("compiles the programs and makes images for minutes: HABILITA_CONTAINERS=all, as make containers has it")
	}
	compose := require(t)
	if host := os.Getenv(hostEnv); host != "" {
		shared = &engine{tb: &standing{TB: t}, compose: compose, host: host}
		return shared
	}
	dir, err := os.MkdirTemp("", "habilita-engine-")
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{tb: &standing{TB: t}, compose: compose, host: "unix://" + filepath.Join(dir, "sock")}
	e.tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	shared = e // even if this test fails below: TestMain ends the engine
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	// The first process of a process namespace: when it ends, all others of the engine end too.
	cmd := exec.Command("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
		`ip link set lo up && exec dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" --host "$2" --bip "$3" --default-address-pool "$4"`,
		"engine", dir, e.host, bridge, pool)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan struct{})
	go func() { // the signal at the parent's end depends on the thread that started the process
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		_ = log.Close()
		close(ended)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	e.tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	e.pid = cmd.Process.Pid
	await(t, "the engine answers", func(ctx context.Context) (bool, string) {
		select {
		case <-ended:
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("dockerd ended:\n%s", text[max(0, len(text)-2000):])
		default:
		}
		out, err := e.run(ctx, nil, "docker", "info")
		return err == nil, out
	})
	root, err := e2e.Root()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	e.must(nil, filepath.Join(root, "deploy/base-images"))
	t.Logf("base images: %s", time.Since(began).Round(time.Second))
	return e
}

// require looks for what an engine needs, and returns Compose's command.
func require(t *testing.T) []string {
	t.Helper()
	missing := func(what string) {
		if os.Getenv("HABILITA_REQUIRE_CONTAINERS") == "1" {
			t.Fatal(what, " (HABILITA_REQUIRE_CONTAINERS=1)")
		}
		t.Skip(what)
	}
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		missing("an engine of the test's own needs Linux and root")
	}
	for _, tool := range []string{"dockerd", "docker", "unshare", "ip", "apt-get", "dpkg-deb", "iptables"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(tool + " is not installed")
		}
	}
	if exec.Command("docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}
	}
	if _, err := exec.LookPath("docker-compose"); err != nil {
		missing("neither docker compose nor docker-compose is installed")
	}
	return []string{"docker-compose"}
}

// run runs a command with the engine as DOCKER_HOST, and returns everything that it wrote.
func (e *engine) run(ctx context.Context, in io.Reader, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = in
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+e.host, "DOCKER_BUILDKIT=0", "COMPOSE_DOCKER_CLI_BUILD=0", "HABILITA_SUBNET="+subnet)
	var out, errw bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errw
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, tail(errw.String()))
	}
	return out.String(), nil
}

// must is run for a command that must succeed, and returns its standard output.
func (e *engine) must(in io.Reader, name string, args ...string) string {
	e.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := e.run(ctx, in, name, args...)
	if err != nil {
		e.tb.Fatalf("%v\n%s", err, tail(out))
	}
	return strings.TrimSpace(out)
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

// await asks good until it is true.
func await(t testing.TB, what string, good func(ctx context.Context) (bool, string)) {
	t.Helper()
	e2e.Await(t, what, patience, good)
}
