//go:build linux

package containers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"habilita/e2e"
)

// docker-compose.yml is used unchanged: more workers, a new version under load, and down and up again
// lose no call and make none twice.
func TestCompose(t *testing.T) {
	e := startEngine(t)
	p := newProject(t, e, "LOG_LEVEL: info")
	p.up(1)
	p.hardened()

	p.up(3)
	ports := map[string]bool{}
	for i := range 3 {
		ports[p.compose("port", "--index", fmt.Sprint(i+1), "worker", "8080")] = true
	}
	if len(ports) != 3 {
		t.Errorf("three workers listen at %v", ports)
	}
	// A worker answers at its port on the machine.
	bin, err := e2e.Build()
	if err != nil {
		t.Fatal(err)
	}
	for addr := range ports {
		if e.pid == 0 {
			break
		}
		e.must(nil, "nsenter", "--target", fmt.Sprint(e.pid), "--net", "env", "LISTEN="+addr, bin.Worker, "probe")
	}

	t.Setenv("COMMIT", "the-next-one")
	p.compose("build") // so that the build below is over before the calls are
	p.underLoad("a new version", func() { p.up(3, "--build") })
	for _, id := range p.containers("worker") {
		if v := e.must(nil, "docker", "exec", id, "/usr/local/bin/worker", "--version"); !strings.Contains(v, "the-next-one") {
			t.Errorf("an old worker runs: %s", v)
		}
	}

	// The volume stays. Every worker exits with 0 after its requests in flight have ended, so no
	// outcome is unknown below.
	p.underLoad("down and up", func() {
		p.down()
		if left := e.must(nil, "docker", "ps", "-q", "--filter", "label=com.docker.compose.project=habilita"); left != "" {
			t.Errorf("down left %s", left)
		}
		p.up(2)
	})

	if v := p.judge(e2e.Terms{}); v.Requests != v.Calls {
		t.Errorf("%d requests for %d calls", v.Requests, v.Calls)
	}
}

// hardened checks what docker-compose.yml promises about a worker's container.
func (p *project) hardened() {
	p.Helper()
	id := p.containers("worker")[0]
	for format, want := range map[string]string{
		"{{.HostConfig.ReadonlyRootfs}}": "true",
		"{{.HostConfig.CapDrop}}":        "[ALL]",
		"{{.HostConfig.SecurityOpt}}":    "[no-new-privileges:true]",
		"{{.Config.User}}":               "65532:65532",
		"{{.Config.StopSignal}}":         "SIGTERM",
		"{{.Config.StopTimeout}}":        "90",
	} {
		if got := p.inspect(id, format); got != want {
			p.Errorf("%s is %s, want %s", format, got, want)
		}
	}
	// The image has two programs, and no shell.
	if _, err := p.e.run(p.Context(), nil, "docker", "exec", id, "/bin/sh"); err == nil {
		p.Error("the image has a shell")
	}
	all := p.inspect(id, "{{json .}}")
	for _, file := range []string{"habilita.key", "habilita-api.keys"} {
		text, err := os.ReadFile(filepath.Join(p.dir, file))
		p.no(err)
		secret := strings.TrimSpace(string(text))
		if secret = secret[strings.LastIndex(secret, ":")+1:]; len(secret) < 20 || strings.Contains(all, secret) {
			p.Errorf("%s is shown by docker inspect, or empty", file)
		}
	}
}
