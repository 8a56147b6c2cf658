package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/localrun"
	"habilita/internal/say"
)

// maxShownFailures is how many calls that were given up are named one by one.
const maxShownFailures = 20

// runResult is what run --json ends with.
type runResult struct {
	File    string `json:"file"`
	Results string `json:"results"`
	Resumed bool   `json:"resumed"` // an earlier start had begun it
	engine.SummaryJSON
	NextDay control.Time    `json:"waits_until"` // for the quota, with --today; null: for nothing
	Status  *control.Status `json:"status"`

	failed failed
}

// failed are calls that were given up: the first ones, how many there are, and of how many the token is wrong.
type failed struct {
	first     []control.CallRecord
	n, tokens int
}

func (e *runResult) state(s localrun.State) {
	e.Status = &s.Status
	if !s.Settled {
		e.NextDay = control.Time{Time: s.Next}
	}
}

func failures(ctx context.Context, job *localrun.Job) (f failed, err error) {
	for c, err := range job.Failed(ctx) {
		if err != nil {
			return f, err
		}
		if f.n++; f.n <= maxShownFailures {
			f.first = append(f.first, c)
		}
		if control.RemedyOf(control.Cause(c)) == control.RemedyToken {
			f.tokens++
		}
	}
	return f, nil
}

// resume is the command that goes on.
func (r *fileRun) resume() string {
	return "enqueue run " + say.File(r.in.name) + r.o.again()
}

// interrupted says how far it came, and how to go on.
func (r *fileRun) interrupted(ctx context.Context, e runResult, err error) error {
	why := explain(err)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		why = errors.New("interrupted")
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		why = fmt.Errorf("%w: make room on the disk of %s, then go on; nothing is lost", why, r.in.name)
	}
	if badFile(err) {
		fmt.Fprintf(r.err, "enqueue: %v\n", why)
		return errTold
	}
	far := ""
	if e.Status != nil {
		far = " (" + counts(*e.Status) + ")"
	}
	fmt.Fprintf(r.err, "enqueue: stopped: %v%s\nresume: %s\n", why, far, r.resume())
	if ctx.Err() == nil && wrongUsage(err) {
		return errUsageTold
	}
	return errTold
}

// finish tells the end, and picks the exit status.
func (r *fileRun) finish(e runResult) error {
	s := *e.Status
	r.tellFailures(e)
	if r.json {
		if err := writeJSON(r.out, e); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(r.told(), "%s; %s; %s\n", counts(s), say.Count(e.Tokens, "token"), time.Duration(e.Seconds*float64(time.Second)).Round(time.Millisecond))
	}
	if !s.Settled {
		fmt.Fprintf(r.err, "today's quota is used up for what is left, until %s; then: %s\n", r.local(e.NextDay), r.resume())
	}
	if !s.AllSucceeded() || !e.Complete() {
		return errPartial
	}
	return nil
}

func (r *fileRun) tellFailures(e runResult) {
	for _, c := range e.failed.first {
		why := c.Error
		if why == "" {
			why = c.Code + " " + c.Msg
		}
		ref := ""
		if c.Ref != "" {
			ref = fmt.Sprintf(" (%s)", c.Ref)
		}
		fmt.Fprintf(r.err, "given up: %s%s, server %s, after %s: %s\n", c.ID, ref, c.Server, say.Count(c.Attempts, "attempt"), why)
	}
	if more := e.failed.n - len(e.failed.first); more > 0 {
		fmt.Fprintf(r.err, "given up: %s more, which %s has\n", say.Count(more, "call"), e.Results)
	}
	if e.failed.tokens > 0 {
		fmt.Fprintf(r.err, "next: correct the token of %s in %s, then: %s\n", say.Count(e.failed.tokens, "call"), say.File(r.in.name), r.resume())
	}
	if e.failed.n > e.failed.tokens {
		fmt.Fprintf(r.err, "next: %s --retry-failed", r.resume())
		if e.Status.HeldChains > 0 {
			fmt.Fprint(r.err, "   (or --skip-failed, to go on behind them)")
		}
		fmt.Fprintln(r.err)
	}
}
