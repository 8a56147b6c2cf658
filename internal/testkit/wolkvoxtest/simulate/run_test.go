package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"habilita/internal/testkit/wolkvoxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// boot runs the command; it returns the URL that it printed, and a function that stops it and returns exit status and stderr.
func boot(t *testing.T, args ...string) (url string, stop func() (int, string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	var stderr bytes.Buffer
	exit := make(chan int, 1)
	go func() {
		exit <- run(ctx, args, in, &stderr)
		_ = in.Close()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		cancel()
		t.Fatalf("no URL: %v, exit %d, %s", err, <-exit, stderr.String())
	}
	return strings.TrimSpace(line), func() (int, string) {
		cancel()
		return <-exit, stderr.String()
	}
}

func enable(t *testing.T, url, token, id string) (int, error) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut,
		strings.ReplaceAll(url, "{server}", "0001")+"/api/v2/configuration.php?api=enable_module", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("wolkvox-token", token)
	req.Header.Set("X-Request-ID", id)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "account.jsonl")
	url, stop := boot(t, "--listen", "127.0.0.1:0", "--account", file, "--latency", "0", "--bad-token", "bad-", "--licenses", "2", "--seed", "5")
	for i, tc := range []struct {
		token string
		want  int
	}{{"good", 202}, {"bad-1", 403}, {"good", 202}} {
		if status, err := enable(t, url, tc.token, "call.1"); status != tc.want || err != nil {
			t.Errorf("request %d: %d %v, want %d", i+1, status, err, tc.want)
		}
	}
	code, stderr := stop()
	if code != 0 || !strings.Contains(stderr, "successes") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("account file: %v %v", info, err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	a, err := wolkvoxtest.ReadAccount(f)
	if err != nil || a.Totals.Requests != 3 || a.Of("good").Successes != 2 || len(a.Requests("call")) != 3 || a.Records[0].Quota != 2000 {
		t.Errorf("account: %+v %v", a.Totals, err)
	}
}

func TestRunFaults(t *testing.T) {
	url, stop := boot(t, "--latency=0", "--fault-rate=1", "--faults=503,500")
	for range 5 {
		if status, err := enable(t, url, "t", ""); err != nil || status != 503 && status != 500 {
			t.Errorf("got %d %v", status, err)
		}
	}
	if code, stderr := stop(); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestRunDown(t *testing.T) {
	url, stop := boot(t, "--latency=0", "--down-for=1h")
	if _, err := enable(t, url, "t", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want a refused connection", err)
	}
	if code, stderr := stop(); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}

	url, stop = boot(t, "--latency=0", "--down-for=1h", "--down-fault=maintenance")
	if status, err := enable(t, url, "t", ""); status != 403 || err != nil {
		t.Errorf("got %d %v", status, err)
	}
	if code, stderr := stop(); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}

	url, stop = boot(t, "--latency=0", "--down-for=1ns")
	deadline, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		status, err := enable(t, url, "t", "")
		if status == 202 {
			break
		}
		if deadline.Err() != nil {
			t.Fatalf("never up: %d %v", status, err)
		}
	}
	if code, stderr := stop(); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestRunWrongUsage(t *testing.T) {
	for _, tc := range []struct {
		args string
		code int
		want string
	}{
		{"--fault-rate 2 --faults nope,500 --licenses 0 --timezone Mars/Base --latency -1s --down-fault y z", 2,
			"--fault-rate 2|--faults: fault \"nope\"|--licenses 0|--timezone|--latency|--down-fault|unexpected argument \"z\""},
		{"--fault-rate NaN", 2, "--fault-rate NaN"},
		{"--nope", 2, "not defined"},
		{"--help", 0, "--fault"},
		{"--listen 0.0.0.0:0", 1, "loopback"},
		{"--tls-cert /nonexistent", 2, "--tls-cert, --tls-key"},
		{"--account /nonexistent/dir/file", 1, "account file"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(tc.args), &stdout, &stderr); code != tc.code || stdout.Len() > 0 {
			t.Errorf("%s: exit %d, stdout %q", tc.args, code, stdout.String())
		}
		for want := range strings.SplitSeq(tc.want, "|") {
			if !strings.Contains(stderr.String(), strings.TrimPrefix(want, "-")) {
				t.Errorf("%s: no %q in %s", tc.args, want, stderr.String())
			}
		}
	}
}
