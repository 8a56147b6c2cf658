//go:build linux

package containers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"habilita/e2e"
	"habilita/internal/control"
	"habilita/internal/testkit/wolkvoxtest"
)

// override is the test's own part of the compose files: the vendor's network and certificate, and the
// time-outs if leases are short.
const override = `
services:
  worker:
    environment:
      SSL_CERT_FILE: /vendor/vendor.crt
      %s
    volumes: ["./vendor/vendor.crt:/vendor/vendor.crt:ro"]
    networks: {default: {}, vendor: {}}
networks:
  vendor:
    external: true
    name: vendor
`

// project is a copy of the repository in which its compose files run.
type project struct {
	*testing.T
	e     *engine
	dir   string
	files []string
	plans []e2e.Plan
}

// newProject copies what the image is built from, makes keys as docker-compose.yml's first lines say, and
// starts the vendor. The overlays come after docker-compose.yml; env are lines of the workers' environment.
func newProject(t *testing.T, e *engine, env string, overlays ...string) *project {
	t.Helper()
	p := &project{T: t, e: e, dir: t.TempDir()}
	root, err := e2e.Root()
	p.no(err)
	for _, name := range []string{"cmd", "internal", "quota", "tasks", "examples", "deploy"} {
		p.no(os.CopyFS(filepath.Join(p.dir, name), os.DirFS(filepath.Join(root, name))))
	}
	for _, name := range []string{"go.mod", "go.sum", "Dockerfile", ".dockerignore", "docker-compose.yml"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		p.no(err)
		if name == "docker-compose.yml" && e.compose[0] == "docker-compose" {
			// The first generation of Compose does not know "name"; -p gives the same name.
			text = regexp.MustCompile(`(?m)^name:.*\n`).ReplaceAll(text, nil)
		}
		p.write(name, string(text), 0o600)
	}
	p.write("override.yml", fmt.Sprintf(override, env), 0o600)
	for _, f := range append(append([]string{"docker-compose.yml"}, overlays...), "override.yml") {
		p.files = append(p.files, "-f", filepath.Join(p.dir, f))
	}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := e.run(context.Background(), nil, e.compose[0], p.args("logs", "--no-color", "--tail=15")...)
			t.Log(tail(out))
		}
		_, _ = e.run(context.Background(), nil, "sh", "-c", `docker rm -fv $(docker ps -aq); docker network prune -f; docker volume prune -f`)
	})
	p.vendor()
	p.compose("build")
	for file, kind := range map[string][]string{"habilita.key": {"keygen"}, "habilita-api.keys": {"keygen", "--api", "admin"}} {
		key := e.must(nil, "docker", append([]string{"run", "--rm", "--entrypoint", "/usr/local/bin/enqueue", "habilita"}, kind...)...)
		p.write(file, key+"\n", 0o600)
		p.no(os.Chown(filepath.Join(p.dir, file), 65532, 65532))
	}
	return p
}

func (p *project) no(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *project) write(name, text string, mode os.FileMode) {
	p.Helper()
	path := filepath.Join(p.dir, name)
	p.no(os.MkdirAll(filepath.Dir(path), 0o755))
	p.no(os.WriteFile(path, []byte(text), mode))
}

// args returns the arguments of a Compose command.
func (p *project) args(args ...string) []string {
	all := append([]string{}, p.e.compose[1:]...)
	all = append(all, "--project-directory", p.dir, "-p", "habilita")
	return append(append(all, p.files...), args...)
}

// compose runs a Compose command.
func (p *project) compose(args ...string) string {
	p.Helper()
	return p.e.must(nil, p.e.compose[0], p.args(args...)...)
}

// up starts a number of workers, and waits until all are healthy.
func (p *project) up(workers int, flags ...string) {
	p.Helper()
	p.compose(append(append([]string{"up", "-d"}, flags...), "--scale", fmt.Sprint("worker=", workers))...)
	await(p, "the workers are healthy", func(context.Context) (bool, string) {
		ids := p.containers("worker")
		states := map[string]int{}
		for _, id := range ids {
			states[p.inspect(id, "{{.State.Status}} {{.State.Health.Status}}")]++
		}
		return len(ids) == workers && states["running healthy"] == workers, fmt.Sprint(states)
	})
}

// down removes all containers. Sometimes an engine takes a moment to see that a network is free.
func (p *project) down() {
	p.Helper()
	await(p, "down", func(ctx context.Context) (bool, string) {
		_, err := p.e.run(ctx, nil, p.e.compose[0], p.args("down")...)
		return err == nil, fmt.Sprint(err)
	})
}

// containers returns the ids of a service's running containers.
func (p *project) containers(service string) []string {
	p.Helper()
	return strings.Fields(p.compose("ps", "-q", service))
}

func (p *project) inspect(id, format string) string {
	p.Helper()
	return p.e.must(nil, "docker", "inspect", "--format", format, id)
}

// vendor starts the simulator, over TLS and under the real vendor's names, in a network that outlives "down".
func (p *project) vendor() {
	p.Helper()
	bin, err := e2e.Build()
	p.no(err)
	p.no(os.Mkdir(filepath.Join(p.dir, "vendor"), 0o755))
	e2e.Certify(p, filepath.Join(p.dir, "vendor"), "*.wolkvox.com")
	p.e.must(nil, "docker", "network", "create", "vendor")
	args := []string{"run", "-d", "--name", "vendor", "--network", "vendor"}
	for i := range 12 { // the servers of e2e.Many
		args = append(args, "--network-alias", fmt.Sprintf("wv%04d.wolkvox.com", i+1))
	}
	p.e.must(nil, "docker", append(args,
		"-v", bin.Simulate+":/simulate:ro", "-v", filepath.Join(p.dir, "vendor")+":/vendor", "redis:7",
		"/simulate", "--listen=0.0.0.0:443", "--tls-cert=/vendor/vendor.crt", "--tls-key=/vendor/vendor.key",
		"--account=/vendor/account.jsonl", "--latency=300ms", "--jitter=200ms", "--licenses=20")...)
}

func (p *project) account() wolkvoxtest.Account {
	p.Helper()
	f, err := os.Open(filepath.Join(p.dir, "vendor/account.jsonl"))
	p.no(err)
	defer f.Close()
	a, err := wolkvoxtest.ReadAccount(f)
	p.no(err)
	return a
}

// enqueue runs the command in a worker's container, where REDIS_URL is.
func (p *project) enqueue(in io.Reader, args ...string) (string, error) {
	p.Helper()
	ids := p.containers("worker")
	if len(ids) == 0 {
		p.Fatal("no worker runs")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.e.run(ctx, in, "docker", append([]string{"exec", "-i", ids[0], "/usr/local/bin/enqueue"}, args...)...)
}

// bulk enqueues the next batch, as docker-compose.yml's first lines say.
func (p *project) bulk(tokens, each int) {
	p.Helper()
	plan := e2e.Plan{Batch: fmt.Sprintf("b%d", len(p.plans)+1), Rows: e2e.Many(tokens, each, func(i int) string { return fmt.Sprintf("token-%04d", i) })}
	for i := range plan.Rows {
		plan.Rows[i].Licenses = 20
	}
	p.plans = append(p.plans, plan)
	p.e.must(strings.NewReader(plan.CSV()), p.e.compose[0],
		p.args("run", "--rm", "-T", "--no-deps", "--entrypoint", "/usr/local/bin/enqueue", "worker", "bulk", "-", "--batch", plan.Batch)...)
}

func (p *project) status(batch string) (s control.Status) {
	p.Helper()
	await(p, "status of "+batch, func(context.Context) (bool, string) { // while a node is away, it exits with 1
		out, err := p.enqueue(nil, "status", batch, "--json")
		if err != nil {
			return false, err.Error()
		}
		return json.Unmarshal([]byte(out), &s) == nil, out
	})
	return s
}

// underLoad runs f while calls are made: before f most calls of the last batch are open, and after it some still
// are. If f takes so long that all were made, underLoad tries again with twice as many.
func (p *project) underLoad(what string, f func()) {
	p.Helper()
	for each := 60; each < 1000; each *= 2 {
		if n := len(p.plans); n == 0 || p.status(p.plans[n-1].Batch).Open < len(p.plans[n-1].Rows)*2/3 {
			p.bulk(40, each)
		}
		last := p.plans[len(p.plans)-1]
		await(p, "calls are made", func(context.Context) (bool, string) {
			s := p.status(last.Batch)
			return s.Succeeded > 0, fmt.Sprintf("%+v", s)
		})
		f()
		if p.status(last.Batch).Open > 0 {
			return
		}
		p.Logf("%s: all calls were made meanwhile; again", what)
	}
	p.Errorf("%s: never under load", what)
}

// judge waits until all batches are settled, judges, and returns the verdict.
func (p *project) judge(terms e2e.Terms) e2e.Verdict {
	p.Helper()
	var reports [][]control.CallRecord
	for _, plan := range p.plans {
		await(p, "all calls are made", func(context.Context) (bool, string) {
			s := p.status(plan.Batch)
			return s.Settled, fmt.Sprintf("%+v", s)
		})
		out, err := p.enqueue(nil, "report", plan.Batch, "--format", "jsonl")
		p.no(err)
		var calls []control.CallRecord
		for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
			var c control.CallRecord
			p.no(d.Decode(&c))
			calls = append(calls, c)
		}
		reports = append(reports, calls)
	}
	v := e2e.Judge(p.account(), terms, p.plans, reports)
	for _, b := range v.Broken {
		p.Error(b)
	}
	if v.Succeeded != v.Calls {
		p.Errorf("%d of %d calls succeeded: %+v", v.Succeeded, v.Calls, v)
	}
	p.Logf("%d calls, %d requests, %d extra of %d unknown", v.Calls, v.Requests, v.Extra, v.Unknown+v.Unrecorded)
	return v
}
