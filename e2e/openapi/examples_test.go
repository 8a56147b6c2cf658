package openapi_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"habilita/e2e"
)

// oddName is a batch's name full of characters that mean something in URLs or in a shell.
const oddName = `año 1/2 ?&#%20+;"'$x "settled":true`

// answers are what an api answers.
type answers struct {
	first     []int  // statuses of the first requests; 0: all is well
	state     string // of the call
	settled   bool
	rejected  int
	succeeded int
}

// api answers like the API.
type api struct {
	t *testing.T
	answers
	mu    sync.Mutex
	asked int
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, _ = io.Copy(io.Discard, r.Body)
	a.asked++
	status := 0
	if len(a.first) > 0 {
		status, a.first = a.first[0], a.first[1:]
	}
	if status != 0 {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"about:blank","title":"No","status":%d,"detail":"because"}`, status)
		return
	}
	batch := "/v1/batches/" + oddName
	switch at := r.Method + " " + r.URL.Path; at {
	case "POST /v1/calls":
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"id":"c1","call":"/v1/calls/c1?batch=&token_id=x"}`)
	case "GET /v1/calls/c1":
		fmt.Fprintf(w, `{"id":"c1","state":%q,"code":"202","msg":"enabled","error":""}`, a.state)
	case "POST /v1/batches":
		if got := r.URL.Query().Get("batch"); got != oddName {
			a.t.Errorf("batch %q", got)
		}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, `{"batch":"\"rows\":9","rows":%d,"enqueued":1,"duplicates":1}`, 2+a.rejected)
	case "GET " + batch:
		fmt.Fprintf(w, `{"batch":"\"settled\":true","total":2,"succeeded":%d,"settled":%t}`, a.succeeded, a.settled)
	case "GET " + batch + "/calls.csv":
		fmt.Fprint(w, "id,server\nc1,0042\n")
	default:
		a.t.Errorf("%s (%s)", at, url.PathEscape(r.URL.Path))
		w.WriteHeader(http.StatusNotFound)
	}
}

// The examples of examples/http meet answers that a real worker rarely gives. The tests of
// package e2e run them against a worker.
func TestExamples(t *testing.T) {
	root, err := e2e.Root()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, "examples", "http")
	dir := t.TempDir()
	file := filepath.Join(dir, "operations.csv")
	if err := os.WriteFile(file, []byte("server,token\n42,t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	built := filepath.Join(dir, "example")
	build := exec.Command("go", "build", "-o", built, "./go")
	build.Dir = folder
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	type example struct {
		needs, required string
		args            []string
		call            bool // it enqueues one call
	}
	examples := map[string]example{
		"go":   {"go", "", []string{built, "0042", "order-1"}, true},
		"curl": {"curl", "", []string{"sh", "batch.sh", file, oddName}, false},
		"php":  {"php", "HABILITA_REQUIRE_PHP", []string{"php", "call.php", "0042", "order-1"}, true},
	}
	for name, c := range map[string]struct {
		answers
		short bool
		exit  int
		asked int // 0: any number
		only  string
	}{
		"all is well":              {answers: answers{state: "succeeded", settled: true, succeeded: 2}},
		"a wrong key":              {answers: answers{first: []int{401}}, exit: 1, asked: 1},
		"a key that may only look": {answers: answers{first: []int{403}}, exit: 1, asked: 1},
		"fields are wrong":         {answers: answers{first: []int{422}}, exit: 1, asked: 1},
		"refused while it waits":   {answers: answers{first: []int{0, 401}}, exit: 1, asked: 2},
		"what passes":              {answers: answers{first: []int{503, 429}, state: "succeeded", settled: true, succeeded: 2}},
		"the call failed":          {answers: answers{state: "failed"}, exit: 1, only: "call"},
		"the call was cancelled":   {answers: answers{state: "cancelled"}, exit: 1, only: "call"},
		"calls of it failed":       {answers: answers{settled: true, succeeded: 1}, exit: 1, only: "batch"},
		"rows were rejected":       {answers: answers{settled: true, succeeded: 2, rejected: 1}, exit: 1, only: "batch"},
		"it never ends":            {answers: answers{state: "waiting"}, short: true, exit: 1},
		"Redis stays away":         {answers: answers{first: []int{503, 503, 503, 503, 503, 503, 503, 503}}, short: true, exit: 1},
	} {
		for tool, e := range examples {
			if c.only == "call" && !e.call || c.only == "batch" && e.call {
				continue
			}
			t.Run(name+"/"+tool, func(t *testing.T) {
				if _, err := exec.LookPath(e.needs); err != nil {
					if e.required != "" && os.Getenv(e.required) == "1" {
						t.Fatal(err)
					}
					t.Skip(err)
				}
				t.Parallel()
				a := &api{t: t, answers: c.answers}
				server := httptest.NewServer(a)
				t.Cleanup(server.Close)
				cmd := exec.CommandContext(t.Context(), e.args[0], e.args[1:]...)
				cmd.Dir = folder
				cmd.Env = append(os.Environ(), "HABILITA_URL="+server.URL, "HABILITA_API_KEY=key", "WOLKVOX_TOKEN=token", "HABILITA_WAIT=")
				if c.short {
					cmd.Env = append(cmd.Env, "HABILITA_WAIT=2")
				}
				out, err := cmd.CombinedOutput()
				var exit *exec.ExitError
				if err != nil && !errors.As(err, &exit) {
					t.Fatal(err)
				}
				a.mu.Lock()
				defer a.mu.Unlock()
				if got := cmd.ProcessState.ExitCode(); got != c.exit || c.asked > 0 && a.asked != c.asked {
					t.Errorf("exit %d after %d requests, want %d after %d:\n%s", got, a.asked, c.exit, c.asked, out)
				}
				if c.exit != 0 && strings.TrimSpace(string(out)) == "" {
					t.Error("it says nothing")
				}
			})
		}
	}
}

// If the file does not exist, batch.sh says so at once and sends nothing.
func TestExampleWithoutItsFile(t *testing.T) {
	root, err := e2e.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(root, "examples", "http", "batch.sh"), "none.csv", "b")
	cmd.Env = append(os.Environ(), "HABILITA_URL=http://127.0.0.1:1", "HABILITA_API_KEY=key", "HABILITA_WAIT=2")
	if out, err := cmd.CombinedOutput(); err == nil || string(out) != "none.csv is not there, or is no file that can be read\n" {
		t.Errorf("%v: %s", err, out)
	}
}
