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

// Result is what a run of enqueue left.
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

// EnqueueWith is Enqueue with pairs of environment above Lab.Env, and standard input.
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

// StartEnqueue starts the enqueue command beside the test, for one that is to be killed.
func (l *Lab) StartEnqueue(args ...string) *Process {
	l.TB.Helper()
	return start(l.TB, l.name("enqueue"), l.Dir, l.bin.Enqueue, l.environ(), args...)
}

// MustEnqueue is Enqueue that has to end with one of the given statuses, 0 where none
// is given.
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

// JSON reads standard output's only object into v.
func (l *Lab) JSON(r Result, v any) {
	l.TB.Helper()
	if err := json.Unmarshal([]byte(r.Stdout), v); err != nil {
		l.TB.Fatalf("no JSON object: %v\n%s", err, r)
	}
}

// Summary is what `enqueue bulk --json` ends with.
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

// Status are the counts of a batch, by the command.
func (l *Lab) Status(batch string) control.Status {
	l.TB.Helper()
	var s control.Status
	l.JSON(l.MustEnqueue("status", batch, "--json"), &s)
	return s
}

// Report is every call of a batch, by the command.
func (l *Lab) Report(batch string) []control.CallRecord {
	l.TB.Helper()
	return lines[control.CallRecord](l, l.MustEnqueue("report", batch, "--format", "jsonl"))
}

// Chains are the chains that wait, by the command; with held those that wait for a person.
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
