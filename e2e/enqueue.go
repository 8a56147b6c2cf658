package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"habilita/internal/control"
)

// Result is the outcome of a run of enqueue.
type Result struct {
	Args           []string
	Stdout, Stderr string
	Exit           int
	Took           time.Duration
}

// Enqueue runs the enqueue command to its end.
func (l *Lab) Enqueue(args ...string) Result {
	l.TB.Helper()
	return l.EnqueueWith(nil, "", args...)
}

// EnqueueWith is Enqueue with standard input, and pairs of environment that override Lab.Env.
func (l *Lab) EnqueueWith(env []string, stdin string, args ...string) Result {
	l.TB.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.bin.Enqueue, args...)
	cmd.Env, cmd.Dir, cmd.Stdin = l.environ(env...), l.Dir, strings.NewReader(stdin)
	var out, errw bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errw
	began := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		l.TB.Fatalf("enqueue %s: %v\n%s", strings.Join(args, " "), err, errw.String())
	}
	r := Result{Args: args, Stdout: out.String(), Stderr: errw.String(), Exit: cmd.ProcessState.ExitCode(), Took: time.Since(began)}
	l.outputs = append(l.outputs, r)
	return r
}

// StartEnqueue starts the enqueue command beside the test, so that the test can kill it.
func (l *Lab) StartEnqueue(args ...string) *Process {
	l.TB.Helper()
	return start(l.TB, l.name("enqueue"), l.Dir, l.bin.Enqueue, l.environ(), args...)
}

// MustEnqueue is Enqueue that must end with status 0.
func (l *Lab) MustEnqueue(args ...string) Result {
	l.TB.Helper()
	r := l.Enqueue(args...)
	if r.Exit != 0 {
		l.TB.Fatalf("%s", r)
	}
	return r
}

// String shows a run as a terminal would.
func (r Result) String() string {
	return fmt.Sprintf("$ enqueue %s\n%s%s(exit %d after %s)", strings.Join(r.Args, " "), r.Stdout, r.Stderr, r.Exit, r.Took.Round(time.Millisecond))
}

// JSON reads the only object on standard output into v.
func (l *Lab) JSON(r Result, v any) {
	l.TB.Helper()
	if err := json.Unmarshal([]byte(r.Stdout), v); err != nil {
		l.TB.Fatalf("no JSON object: %v\n%s", err, r)
	}
}

// Summary is the object that `enqueue bulk --json` prints last.
type Summary struct {
	Batch      string
	Rows       int
	Enqueued   int
	Duplicates int
	Rejected   int
	Conflicts  int
	Withheld   int
	Tokens     int
	Seconds    float64
}

// Status returns the counts of a batch, as the command has them.
func (l *Lab) Status(batch string) control.Status {
	l.TB.Helper()
	var s control.Status
	l.JSON(l.MustEnqueue("status", batch, "--json"), &s)
	return s
}

// Report returns every call of a batch, as the command has them.
func (l *Lab) Report(batch string) []control.CallRecord {
	l.TB.Helper()
	return lines[control.CallRecord](l, l.MustEnqueue("report", batch, "--format", "jsonl"))
}

// Chains returns the chains that wait, as the command has them; with held, those that wait for a person.
func (l *Lab) Chains(held bool) []control.Chain {
	l.TB.Helper()
	args := []string{"chains", "--json"}
	if held {
		args = append(args, "--held")
	}
	return lines[control.Chain](l, l.MustEnqueue(args...))
}

func lines[T any](l *Lab, r Result) []T {
	l.TB.Helper()
	var all []T
	d := json.NewDecoder(strings.NewReader(r.Stdout))
	for d.More() {
		var one T
		if err := d.Decode(&one); err != nil {
			l.TB.Fatalf("%v\n%s", err, r)
		}
		all = append(all, one)
	}
	return all
}
