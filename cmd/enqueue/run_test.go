package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/vault"
)

// runner runs the command in this process, on a Redis of its own.
type runner struct {
	t   *testing.T
	w   *worker
	env map[string]string
}

func newRunner(t *testing.T) *runner {
	w, err := newWorker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	key, err := vault.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	return &runner{t, w, map[string]string{"REDIS_URL": "redis://" + w.redis.Addr(), "HABILITA_KEYS": key}}
}

func (r *runner) run(ctx context.Context, in io.Reader, args ...string) (status int, stdout, stderr string) {
	var out, errw bytes.Buffer
	status = run(ctx, args, func(k string) string { return r.env[k] }, in, &out, &errw)
	return status, out.String(), errw.String()
}

// endless gives this many rows, calls when, and ends with ctx.
type endless struct {
	rows, limit int
	buf         bytes.Buffer
	when        func()
	ctx         context.Context
}

func (e *endless) Read(p []byte) (int, error) {
	if e.rows == e.limit {
		e.when()
		<-e.ctx.Done() // as a terminal at which nobody types
		return 0, io.EOF
	}
	for e.buf.Len() < len(p) && e.rows < e.limit {
		if e.rows == 0 {
			e.buf.WriteString("server,token\n")
		}
		fmt.Fprintf(&e.buf, "0001,tok-%d\n", e.rows%7)
		e.rows++
	}
	return e.buf.Read(p)
}

func TestInterruptSaysHowToGoOn(t *testing.T) {
	r := newRunner(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	in := &endless{limit: 10_000, when: func() {
		if tags, err := r.w.ledger.NextReady(ctx, time.Minute, 1); err != nil || len(tags) == 0 { // the first calls are there
			t.Errorf("no call came: %v", err)
		}
		cancel()
	}, ctx: ctx}
	status, _, stderr := r.run(ctx, in, "bulk", "-", "--batch", "b")
	if status != exitFailed {
		t.Errorf("exit status %d", status)
	}
	if !strings.Contains(stderr, ": interrupted\nresume: enqueue bulk - --batch b\n") {
		t.Errorf("got %q", stderr)
	}
	// It must not claim more than what is there.
	var told, total int
	_, after, _ := strings.Cut(strings.ReplaceAll(stderr, ",", ""), "stopped after ")
	if _, err := fmt.Sscanf(after, "%d calls", &told); err != nil {
		t.Errorf("%q: %v", stderr, err)
	}
	status, stdout, _ := r.run(context.Background(), nil, "status", "b", "--json")
	_, after, _ = strings.Cut(stdout, `"total":`)
	if _, err := fmt.Sscanf(after, "%d", &total); err != nil || status != exitOK || total < told || total == 0 {
		t.Errorf("status: %d, %s, after %d calls: %v", status, stdout, told, err)
	}
	// Going on adds only what is missing.
	rest := &endless{limit: 10_000, when: func() {}, ctx: ended()}
	status, stdout, stderr = r.run(context.Background(), rest, "bulk", "-", "--batch", "b", "--json")
	want := fmt.Sprintf(`"rows":10000,"enqueued":%d,"duplicates":%d,`, 10_000-total, total)
	if status != exitOK || !strings.Contains(stdout, want) {
		t.Errorf("again: %d, %s%s", status, stdout, stderr)
	}
}

func TestInterruptedDryRun(t *testing.T) {
	r := newRunner(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	status, _, stderr := r.run(ctx, &endless{limit: 5000, when: cancel, ctx: ctx}, "bulk", "-", "--dry-run")
	if status != exitFailed || stderr != "enqueue: interrupted\n" {
		t.Errorf("got %d, %q", status, stderr)
	}
}

func TestInterruptedWait(t *testing.T) {
	r := newRunner(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	told := &onWrite{want: "1 new", then: cancel} // the summary; waiting comes next
	var errw bytes.Buffer
	status := run(ctx, []string{"bulk", "-", "--batch", "b", "--wait"}, func(k string) string { return r.env[k] },
		strings.NewReader("server,token\n0001,tok-a\n"), told, &errw)
	if status != exitFailed || !strings.Contains(errw.String(), "interrupted; what is enqueued goes on\nfollow: enqueue watch b\n") {
		t.Errorf("got %d, %q", status, errw.String())
	}
}

// onWrite calls then when what it waits for is written.
type onWrite struct {
	bytes.Buffer
	want string
	then func()
}

func (o *onWrite) Write(p []byte) (int, error) {
	n, err := o.Buffer.Write(p)
	if strings.Contains(o.String(), o.want) {
		o.then()
	}
	return n, err
}

func TestRedisThatGoesAwayMidway(t *testing.T) {
	r := newRunner(t)
	in := &endless{limit: 9000, when: func() {}, ctx: ended()} // the file ends after them
	first := true
	reader := readerFunc(func(p []byte) (int, error) {
		if in.rows > 5000 && first {
			first = false
			r.w.redis.SetError("OOM command not allowed when used memory > 'maxmemory'")
		}
		return in.Read(p)
	})
	status, _, stderr := r.run(context.Background(), reader, "bulk", "-", "--batch", "b")
	if status != exitFailed || !strings.Contains(stderr, "Redis is full") || !strings.Contains(stderr, "resume: enqueue bulk - --batch b") {
		t.Errorf("got %d, %q", status, stderr)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// TestRedisThatNeverAnswers has a listener that accepts and says nothing, like a
// Redis behind a firewall, or one whose process is stopped.
func TestRedisThatNeverAnswers(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	r := newRunner(t)
	r.env["REDIS_URL"] = "redis://" + l.Addr().String()
	status, _, stderr := r.run(context.Background(), nil, "batches") // or it would never end
	if status != exitFailed || !strings.Contains(stderr, "does not answer in time") {
		t.Errorf("got %d, %q", status, stderr)
	}
}

func TestSecretsAreNoFlags(t *testing.T) {
	r := newRunner(t)
	for _, args := range [][]string{
		{"bulk", "x.csv", "--habilita-keys", "k:secret"}, {"call", "--server", "1", "--token", "secret"},
		{"batches", "--redis-url", "redis://u:secret@localhost"},
	} {
		status, stdout, stderr := r.run(context.Background(), nil, args...)
		if status != exitUsage || strings.Contains(stdout+stderr, "secret") {
			t.Errorf("%v: %d, %q", args, status, stderr)
		}
	}
}

func TestRejectsFileIsPrivate(t *testing.T) {
	r := newRunner(t)
	path := filepath.Join(t.TempDir(), "-rejects.csv")
	status, _, stderr := r.run(context.Background(), strings.NewReader("server,token\n,tok-a\n"),
		"bulk", "-", "--batch", "b", "--rejects", path)
	if status != exitPartial || !strings.Contains(stderr, "-:2: server: is missing") {
		t.Errorf("got %d, %q", status, stderr)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("mode %o", mode)
	}
}

func TestCountsOnOneLine(t *testing.T) {
	for got, want := range map[string]string{
		progressWords(engine.Summary{Rows: 9, Rejected: 1, Duplicates: 1000}):                                       "9 rows, 0 enqueued, 1,000 were there already, 1 rejected",
		counts(control.Status{Total: 100, Succeeded: 99, Failed: 1, HeldChains: 1}):                                 "99 of 100 succeeded, 1 failed, 1 chain held",
		lastWords(engine.Summary{Enqueued: 2, Replaced: 1, Duplicates: 3, Made: 3, Missing: 1}, false, false):       "2 new (1 in the place of another), 3 there already (3 made), 1 missing (--prune cancels it), 0 rejected",
		lastWords(engine.Summary{Missing: 2, Pruned: 2}, true, false):                                               "0 new, 0 there already, 2 no longer in the file (not made), 0 rejected",
		lastWords(engine.Summary{Missing: 2, Pruned: 2, Conflicts: 1, Withheld: 1000, Rejected: 1000}, false, true): "0 new, 0 there already, 1 in conflict, 1,000 withheld, 2 missing (2 cancelled), 1,000 rejected",
		lastWords(engine.Summary{Missing: 3, Pruned: 1}, false, true):                                               "0 new, 0 there already, 3 missing (1 cancelled, 2 begun already), 0 rejected",
		lastWords(engine.Summary{Missing: 3, NotPruned: engine.ErrOtherRun}, false, true):                           "0 new, 0 there already, 3 missing (0 cancelled), 0 rejected",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
