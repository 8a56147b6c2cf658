package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"habilita/internal/testkit/wolkvoxtest"
)

// heard is what a command wrote. It says when the command has written what a test listens for.
type heard struct {
	mu     sync.Mutex
	text   bytes.Buffer
	listen string
	came   chan struct{} // closed when listen was written
	told   bool
}

func listenFor(what string) *heard { return &heard{listen: what, came: make(chan struct{})} }

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Write(p)
	if !h.told && strings.Contains(h.text.String(), h.listen) {
		h.told = true
		close(h.came)
	}
	return len(p), nil
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

func noEnv(string) string { return "" }

func runDemo(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), append([]string{"demo"}, args...), noEnv, &o, &e)
	return code, o.String(), e.String()
}

func demoFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mine.csv")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func wantAll(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// noTokens looks for the tokens of a file in what was written.
func noTokens(t *testing.T, plan *demoPlan, texts ...string) {
	t.Helper()
	for _, c := range plan.calls {
		for _, text := range texts {
			if strings.Contains(text, c.Token) {
				t.Fatalf("the token of line %d was written", c.Line)
			}
		}
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	plan, err := (&demo{err: io.Discard}).read()
	if err != nil || plan.rejected > 0 {
		t.Fatal(err, plan.rejected)
	}
	code, out, errs := runDemo(t, "--seed", "1")
	if code != exitOK {
		t.Fatalf("exit %d: %s\n%s", code, errs, out)
	}
	noTokens(t, plan, out, errs)
	wantAll(t, out,
		`131 calls of 40 operations on 12 servers, from examples/operations.csv`,
		`--seed 1\.`,
		`124 of 131 calls succeeded in order; chains held: 1, chains that wait for tomorrow: 1\.`,
		`Soporte Bogotá +│ +4 │ +4 │ +[4-9] │ done`,
		`Soporte Quito +│ +7 │ +7 │`,
		`Agencia Villavicencio +│ +4 │ +0 │ +1 │ held`,
		`Campaña Navidad Pasto +│ +5 │ +2 │ +3 │ tomorrow`,
		`40 operations +│ +131 │ +124 │`,
		`next: correct the token in the file and give it again: enqueue bulk examples/operations\.csv --prune   \(if it was put right at the vendor: enqueue retry --chain [a-z2-7]{24}\)`,
		`3 calls of chain [a-z2-7]{24}; next try at 20`,
		`most in flight for a token +[12] \(2 allowed\)`,
		`order violations +0\b`, `over the slots +0\b`, `over the quota +0\b`,
		`faults given +[1-9]`,
		`Every promise was kept`,
	)
	wantAll(t, errs, `124 of 131 calls succeeded, 1 held, 1 for tomorrow\n`)
}

func TestDemoFileWithBadRows(t *testing.T) {
	t.Parallel()
	const content = "server,token,licenses,chain,ref,id\n" +
		"1,mine-0001,1,,Uno,same\n" +
		"not-a-server,mine-0002,1,,Dos,\n" +
		"1,mine-0001,1,,Uno otra vez,\n" +
		"2,mine 0003,1,,Tres,\n" +
		"2,mine-0004,0,,Cuatro,\n" +
		"2,mine-0005,,x;y,Cinco,same\n" +
		"2,mine-0005,,x;y,Cinco,same\n" +
		"2,mine-0005,,x;y,Seis,\n"
	path := demoFile(t, content)
	code, out, errs := runDemo(t, "--file", path)
	if code != exitOK {
		t.Fatalf("exit %d: %s\n%s", code, errs, out)
	}
	for _, line := range []string{":3: server: ", ":5: token: ", ":6: licenses: "} {
		if !strings.Contains(errs, path+line) {
			t.Errorf("%q is not reported in\n%s", line, errs)
		}
	}
	wantAll(t, out, `Left out of the file: 3 rows`, `stands twice in the file: 2 rows\.`, `3 of 3 calls succeeded`, `Uno `, `Every promise was kept`)
	if strings.Contains(out, "Held") || strings.Contains(out, "tomorrow ==") {
		t.Errorf("tells of what is not there:\n%s", out)
	}
	for _, secret := range []string{"mine-0001", "mine-0002", "mine 0003", "mine-0004", "mine-0005"} {
		if strings.Contains(out+errs, secret) {
			t.Errorf("a token was written")
		}
	}
}

func TestDemoRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no such file": {[]string{"--file", filepath.Join(t.TempDir(), "none.csv")}, exitUsage, "--file: open "},
		"no good row":  {[]string{"--file", demoFile(t, "server,token\nx,t\n")}, exitFailed, "has no row that can be used"},
		"no header":    {[]string{"--file", demoFile(t, "0001,t\n")}, exitFailed, "has no header"},
		"bad address":  {[]string{"--serve", "--listen", "nowhere"}, exitUsage, "LISTEN"},
		"bad seed":     {[]string{"--seed", "x"}, exitUsage, "seed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := runDemo(t, tt.args...)
			if code != tt.code || !strings.Contains(errs, tt.want) || out != "" {
				t.Errorf("exit %d, %q, %q", code, errs, out)
			}
		})
	}
}

const smallFile = "server,token,licenses,chain,ref,id\n1,demo-a,1,,A,\n1,demo-a,1,,A,\n2,demo-used-b,1,,B,\n2,demo-used-b,1,,B,\n2,demo-used-b,1,,B,\n"

func TestDemoServes(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, errs := listenFor("chains --held\n"), listenFor(`"address":"`)
	ended := make(chan int, 1)
	path := demoFile(t, smallFile)
	go func() {
		ended <- run(ctx, []string{"demo", "--serve", "--file", path, "--listen", "127.0.0.1:0", "--log-level", "info", "--log-format", "json"}, noEnv, out, errs)
	}()
	select {
	case <-out.came:
	case code := <-ended:
		t.Fatalf("ended with %d: %s\n%s", code, errs, out)
	case <-time.After(time.Minute):
		t.Fatalf("does not get there: %s\n%s", errs, out)
	}
	_, addr, _ := strings.Cut(errs.String(), errs.listen)
	addr, _, _ = strings.Cut(addr, `"`)
	wantAll(t, out.String(), `http://127\.0\.0\.1:0/healthz`, `REDIS_URL=redis://127\.0\.0\.1:\d+/0`, `4 of 5 calls succeeded`)
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for page, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "asynq_queue_size"} {
		resp, err := client.Get("http://" + addr + page)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %v %s", page, resp.StatusCode, err, body)
		}
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestDemoTellsABrokenPromise(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	d := newDemo(env{noEnv, &out, &errs})
	d.file = demoFile(t, smallFile)
	d.judge = func(a wolkvoxtest.Account, chains [][]string) wolkvoxtest.Summary {
		s := a.Summarize(chains)
		s.OverSlots = 7
		return s
	}
	err := d.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "breaks a promise: 7 requests arrived with more than 2") {
		t.Fatalf("got %v", err)
	}
	var usage usageError
	if errors.As(err, &usage) {
		t.Error("would exit with 2")
	}
	if strings.Contains(out.String(), "Every promise was kept") {
		t.Error("says that all is well")
	}
	wantAll(t, out.String(), `over the slots +7`)
}

func TestDemoStops(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	errs := listenFor("calls succeeded")
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"demo"}, noEnv, io.Discard, errs) }()
	<-errs.came
	stop()
	if code := <-ended; code != exitFailed || !strings.Contains(errs.String(), "nothing of the demo is kept") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
