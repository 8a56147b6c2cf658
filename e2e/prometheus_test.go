package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"habilita/internal/control"
	"habilita/internal/webhook"
)

// prometheus finds a program of Debian's package prometheus. Without it the test is
// skipped, unless HABILITA_REQUIRE_PROMETHEUS=1.
func prometheus(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("HABILITA_REQUIRE_PROMETHEUS") == "1" {
			t.Fatal(err)
		}
		t.Skip("no " + program + " on the PATH: apt-get install prometheus has it")
	}
	return path
}

func deploy(t *testing.T, parts ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"..", "deploy"}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func promtool(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), prometheus(t, "promtool"), args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestAlertRules(t *testing.T) {
	for _, args := range [][]string{
		{"check", "rules", deploy(t, "prometheus", "alerts.yml")},
		{"test", "rules", deploy(t, "prometheus", "alerts_test.yml")},
		{"check", "config", deploy(t, "prometheus", "prometheus.yml")},
	} {
		if out, err := promtool(t, "", args...); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// Every alert is explained in the operator's book, and has its tests.
func TestAlertsAreExplained(t *testing.T) {
	rules, err := os.ReadFile(deploy(t, "prometheus", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(deploy(t, "prometheus", "alerts_test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	book, err := os.ReadFile(filepath.Join("..", "docs", "monitoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(rules), -1)
	if len(names) < 10 {
		t.Fatalf("%d alerts", len(names))
	}
	for _, m := range names {
		if !strings.Contains(string(book), "\n### "+m[1]+"\n") {
			t.Errorf("docs/monitoring.md does not tell what to do for %s", m[1])
		}
		if !strings.Contains(string(rules), "runbook_url: docs/monitoring.md#"+strings.ToLower(m[1])+"\n") {
			t.Errorf("%s does not lead to the book", m[1])
		}
		if strings.Count(string(tests), m[1]) < 2 {
			t.Errorf("%s is not tested both ways", m[1])
		}
	}
}

// asynqNames are metrics of asynq whose names break the rules. They stay, so that users of asynq find them.
var asynqNames = regexp.MustCompile(`^asynq_\w+ non-counter metrics should not have "_total" suffix$`)

// A real Prometheus scrapes a real worker: every name follows the rules, every label is
// known, and everything that the dashboard and the alerts ask for is there.
func TestPrometheus(t *testing.T) {
	program := prometheus(t, "prometheus")
	l := New(t)
	l.StartVendor("--latency=0", "--bad-token=bad-")
	p := Plan{Batch: "scraped", Rows: Many(6, 2, good)}
	p.Rows = append(p.Rows, Row{Token: "bad-one"})
	l.Bulk(p)
	w := l.Workers(1, "WEBHOOK_URL", "http://127.0.0.1:1/", "WEBHOOK_SECRETS", webhook.GenerateSecret())[0] // else it has no metrics of webhooks
	l.AwaitStatus(p.Batch, "settled", 0, func(s control.Status) bool { return s.Settled })

	_, page := w.Get("/metrics")
	if out, err := promtool(t, page, "check", "metrics"); err != nil {
		for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
			if !asynqNames.MatchString(line) {
				t.Errorf("promtool check metrics: %s", line)
			}
		}
	}
	known := []string{"outcome", "reason", "state", "limit", "result", "le", "queue", "quantile", "version", "handler", "code", "method"}
	for _, m := range regexp.MustCompile(`[{,](\w+)="`).FindAllStringSubmatch(page, -1) {
		if !slices.Contains(known, m[1]) {
			t.Errorf("a label %q, which may grow", m[1])
		}
	}

	config := l.File("prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs: [{job_name: habilita, static_configs: [{targets: [%q]}]}]
`, deploy(t, "prometheus", "alerts.yml"), w.Addr()))
	server := start(t, l.name("prometheus"), l.Dir, program, []string{"HOME=" + l.Dir}, "--config.file="+config,
		"--storage.tsdb.path="+filepath.Join(l.Dir, "tsdb"), "--web.listen-address=127.0.0.1:0")
	at := regexp.MustCompile(`address=(127\.0\.0\.1:[1-9]\d*)`).FindStringSubmatch(server.WaitLine(`msg="Listening on"`, Patience))
	if at == nil {
		t.Fatal("Prometheus does not tell its address")
	}
	ask := func(path string, query url.Values, into any) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at[1]+path+"?"+query.Encode(), nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		var answer struct {
			Status, Error string
			Data          json.RawMessage
		}
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			return err
		}
		if answer.Status != "success" {
			return fmt.Errorf("%s", answer.Error)
		}
		return json.Unmarshal(answer.Data, into)
	}
	var names []string
	l.Await("metrics in Prometheus", 0, func(context.Context) (bool, string) {
		err := ask("/api/v1/label/__name__/values", nil, &names)
		whole := slices.Contains(names, "scrape_samples_scraped") // names come one by one, this one after those of the page
		return whole && slices.Contains(names, "habilita_chains") && slices.Contains(names, "asynq_queue_size"), fmt.Sprint(err, names)
	})
	check := func(what, expr string) {
		t.Helper()
		expr = strings.ReplaceAll(expr, "$__rate_interval", "1m")
		var result any
		if err := ask("/api/v1/query", url.Values{"query": {expr}}, &result); err != nil {
			t.Errorf("%s: %s: %v", what, expr, err)
		}
		for _, name := range regexp.MustCompile(`\b(?:habilita|asynq)_\w+`).FindAllString(expr, -1) {
			if !slices.Contains(names, name) {
				t.Errorf("%s: there is no metric %s", what, name)
			}
		}
	}
	for title, exprs := range dashboard(t) {
		for _, expr := range exprs {
			check(title, expr)
		}
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Query, Health, LastError, State string }
		}
	}
	l.Await("the rules are evaluated, and one waits to fire", 0, func(context.Context) (bool, string) {
		err := ask("/api/v1/rules", nil, &rules)
		states := ""
		for _, g := range rules.Groups {
			for _, r := range g.Rules {
				states += r.Name + " " + r.Health + " " + r.State + ", "
			}
		}
		return err == nil && strings.Contains(states, "HabilitaChainsHeld ok pending") && !strings.Contains(states, "unknown"), states
	})
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Health != "ok" {
				t.Errorf("%s: %s", r.Name, r.LastError)
			}
			check(r.Name, r.Query)
		}
	}
}

// dashboard returns the expressions of the Grafana dashboard, by panel.
func dashboard(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(deploy(t, "grafana", "habilita.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all[p.Title] = append(all[p.Title], target.Expr)
		}
	}
	if len(all) < 15 || len(all) != len(d.Panels) {
		t.Errorf("%d titles of %d panels", len(all), len(d.Panels))
	}
	return all
}
