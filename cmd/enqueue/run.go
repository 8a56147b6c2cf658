package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/localrun"
	"habilita/internal/localrun/wal"
	"habilita/internal/meter"
	"habilita/internal/redisconn"
	"habilita/internal/say"
)

// runFlags holds the flags of run.
type runFlags struct {
	fileFlags
	retryFailed, skipFailed, today, dryRun bool
}

const runHelp = `Do the whole job in this one process, with no Redis and no worker. It makes the calls of a
file, and writes each result to FILE.results.csv as it comes. The file is as for bulk.

Order, slots, quota, attempts and back-off are those of a worker. Every request is written to
FILE.journal, on the disk, before it is sent. So the same command goes on after any crash: what
succeeded is not called again, and used slots and quota stay used. A request that was in flight
at a crash has an unknown outcome. It is made again when its lease has ended (65 s by default,
by the clock of this machine).

You may correct FILE between two starts. What succeeded stays, new rows are made, and rows that
are no longer in it are not (their attempts stay in the results). A row is known by its id; one
without id by what it says. A bad row is shown as FILE:LINE: FIELD: what is wrong. The rows
behind it in its chain are withheld until it is corrected; --rejects keeps them all (with
their tokens, mode 0600). --dry-run says, from the journal, what is new, what was done and what
waits, and calls nothing.

One process at a time works on a file, and it counts only what it sends itself. So do not use a
token here and through Redis on the same day. The journal has no tokens, but it has the key that
tokens get their names from, so it is private (mode 0600). When all is done, you can remove it.

It ends when nothing more happens without a person. If the day's quota is used up, it waits for
the next day; with --today it ends. If you press Ctrl-C or close the terminal, requests in flight
end first.

Exit status: 0 every call of the file succeeded; 3 some did not, or wait for tomorrow, or rows
were rejected, conflict or were withheld; 1 it was stopped or failed.`

// localConcurrency is the default of CONCURRENCY for a local run. The Redis inside the process manages about 500 calls a second.
// With 1,000 at once a job took a third longer, and on a busy machine requests came too late to be sent.
const localConcurrency = "256"

// localSettings are the settings of a job with no Redis.
const localSettings = config.Logging | config.Limits | config.Calls

func (a *app) runLocal() *cobra.Command {
	var o runFlags
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Make all calls of a file in this process, with no Redis and no worker",
		Long:  runHelp,
		Example: `  enqueue run operations.csv --dry-run
  enqueue run operations.csv                  # and the same again, to go on
  enqueue run operations.csv --retry-failed   # what was given up is tried again
  enqueue run operations.csv --today --json`,
		Args: exactly(1, "a file"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runFile(cmd, args[0], o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.retryFailed, "retry-failed", false, "try calls again that were given up at an earlier start")
	f.BoolVar(&o.skipFailed, "skip-failed", false, "leave calls that were given up, and go on behind them")
	f.BoolVar(&o.today, "today", false, "end when all that is left waits for tomorrow's quota")
	f.BoolVar(&o.dryRun, "dry-run", false, "check every row, say what is new and what was done already, and plan; calls nothing and writes no journal")
	o.fileFlags.bind(cmd)
	a.jsonFlag(cmd, "end with one JSON object on standard output")
	config.Bind(f, localSettings)
	f.Lookup("concurrency").DefValue = localConcurrency
	f.Lookup("log-level").DefValue = "error" // what happens to each call is in the results
	return cmd
}

func (a *app) runFile(cmd *cobra.Command, file string, o runFlags) error {
	again := localrun.Leave
	switch {
	case o.retryFailed && o.skipFailed:
		return usagef("--retry-failed and --skip-failed can't both be given")
	case o.retryFailed:
		again = localrun.Retry
	case o.skipFailed:
		again = localrun.Skip
	}
	rows, err := a.openRows(cmd, file, o.fileFlags)
	if err != nil {
		return err
	}
	defer rows.in.close()
	rows.whole = true
	signal.Ignore(syscall.SIGPIPE) // a reader of the output that leaves, such as head, does not end the job
	rejects, _ := filepath.Abs(o.rejects)
	for _, own := range []string{localrun.JournalOf(file), localrun.ResultsOf(file)} {
		if own, _ = filepath.Abs(own); own == rejects {
			return usagef("--rejects %s is a file that run writes itself: name another file", o.rejects)
		}
	}
	if !rows.in.stays {
		return usagef("run needs a file that it can read again at the next start, and %s is not one", file)
	}
	if rows.o.batch, _, err = rows.in.batchName(); err != nil {
		return err
	}
	set, err := config.Load(cmd.Flags(), a.getenv, localSettings)
	if err != nil {
		return err
	}
	a.zone = set.Quota.Location
	set.Log = config.Logger(set, zerolog.SyncWriter(a.err), meter.OnTerminal(a.err))
	set.Retention = engine.MaxDuration // the results stay in a file: nothing is to be forgotten while this process lives
	r := &fileRun{rowsRun: rows, today: o.today}
	c := localrun.Config{File: file, Batch: rows.o.batch, Policy: rows.o.onFailure, GivenUp: again, Worker: set.WorkerOptions}
	if o.dryRun {
		return r.dry(cmd.Context(), c, set)
	}
	return r.run(cmd.Context(), c)
}

// fileRun is one start of the command run. It reads the file as bulk does.
type fileRun struct {
	*rowsRun
	today bool
}

func (r *fileRun) run(ctx context.Context, c localrun.Config) error {
	started := time.Now()
	job, err := localrun.Open(ctx, c)
	if err != nil {
		return r.notOpened(ctx, c.File, err)
	}
	end, err := r.work(ctx, job, started)
	if err = errors.Join(err, job.Close(), r.rejects.Close()); err != nil {
		return r.interrupted(ctx, end, err)
	}
	return r.finish(end)
}

// work enqueues and makes the calls.
func (r *fileRun) work(ctx context.Context, job *localrun.Job, started time.Time) (runResult, error) {
	end := runResult{Resumed: job.Resumed(), File: r.in.name, Results: localrun.ResultsOf(r.in.name)}
	fmt.Fprintf(r.told(), "results %s\njournal %s   (keep it: it is how to go on)\nresume  %s\n",
		end.Results, localrun.JournalOf(r.in.name), r.resume())
	sum, err := job.Enqueue(ctx, r.calls(), r.options(func(s engine.Summary) string { return say.Count(s.Rows, "row") + " read" }))
	r.meter.Stop()
	end.SummaryJSON = sum.JSON(pruneOption)
	if err != nil {
		return end, err
	}
	r.did(sum)
	r.tellRejects(sum, r.resume())
	if end.Resumed {
		if s, err := job.Status(ctx); err == nil {
			fmt.Fprintf(r.told(), "goes on: %s\n", counts(s))
		}
	}
	m := r.newMeter(r.o.progress, progress.UnitsDefault)
	state, err := job.Work(ctx, r.today, func(s localrun.State) { m.Update(int64(s.Ended()), int64(s.Total), r.words(s)) })
	m.Stop()
	end.Status = &state.Status
	if !state.Settled {
		end.NextDay = control.Time{Time: state.Next}
	}
	end.Seconds = float64(time.Since(started).Milliseconds()) / 1000
	if err == nil {
		end.failed, err = failures(context.WithoutCancel(ctx), job)
	}
	return end, err
}

// dry says what a start would do, by the journal of earlier ones.
func (r *fileRun) dry(ctx context.Context, c localrun.Config, set config.Settings) error {
	r.o.plan = planFlags{latency: 2 * time.Second, workers: 1}
	return r.rowsRun.dry(ctx, set, r.resume(), func(calls iter.Seq2[engine.Call, error], o engine.BatchOptions) (engine.Summary, error) {
		sum, err := localrun.Look(ctx, c, calls, o)
		return sum, r.notOpened(ctx, c.File, err)
	})
}

// words are a state on one line.
func (r *fileRun) words(s localrun.State) string {
	words := counts(s.Status)
	if n := len(s.Tomorrow); n > 0 {
		return words + fmt.Sprintf("; today's quota is used up for %s, until %s", say.Count(n, "chain"), r.local(control.Time{Time: s.Next}))
	}
	return words + r.obstacles(s.Progress)
}

// notOpened says why a job can't begin or go on.
func (r *fileRun) notOpened(ctx context.Context, file string, err error) error {
	switch policy, other := errors.AsType[*localrun.PolicyError](err); {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, wal.ErrLocked):
		return fmt.Errorf("another process works on %s: wait for it, or end it", file)
	case redisconn.Is[*localrun.OldError](err):
		return usagef("%v", err)
	case other:
		return usagef("%v: use --on-failure %s", err, policy.Have)
	case redisconn.Is[*wal.DamageError](err):
		return fmt.Errorf("%w: put it back from a copy; without it nobody can know what was called. "+
			"To begin anew all the same, remove it: what succeeded is then made again", err)
	}
	return err
}

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

// failed are the calls that were given up: the first ones, how many there are, and how many have a wrong token.
type failed struct {
	first     []control.CallRecord
	n, tokens int
}

func failures(ctx context.Context, job *localrun.Job) (f failed, err error) {
	for c, err := range job.Report(ctx) {
		if err != nil {
			return f, err
		}
		if c.State != ledger.StateFailed {
			continue
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
	return "enqueue run " + say.File(r.in.name) + flagsAgain(r.cmd, nil, howRead...)
}

// interrupted says how far the job came, and how to go on.
func (r *fileRun) interrupted(ctx context.Context, e runResult, err error) error {
	why, told := stopWords(ctx, err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		why += ": make room on the disk of " + r.in.name + ", then go on; nothing is lost"
	}
	if badFile(err) || told == errUsageTold { // the same command would fail again
		fmt.Fprintf(r.err, "enqueue: %s\n", why)
		return told
	}
	far := ""
	if e.Status != nil {
		far = " (" + counts(*e.Status) + ")"
	}
	fmt.Fprintf(r.err, "enqueue: stopped: %s%s\nresume: %s\n", why, far, r.resume())
	return told
}

// finish says how the job ended, and picks the exit status.
func (r *fileRun) finish(e runResult) error {
	s := *e.Status
	r.tellFailures(e)
	err := r.give(e, nil, func() {
		fmt.Fprintf(r.out, "%s; %s; %s\n", counts(s), say.Count(e.Tokens, "token"), time.Duration(e.Seconds*float64(time.Second)).Round(time.Millisecond))
	})
	if err != nil {
		return err
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
		ref := ""
		if c.Ref != "" {
			ref = fmt.Sprintf(" (%s)", c.Ref)
		}
		fmt.Fprintf(r.err, "given up: %s%s, server %s, after %s: %s\n", c.ID, ref, c.Server, say.Count(c.Attempts, "attempt"), cmp.Or(control.Blame(c), c.Code+" "+c.Msg))
	}
	if more := e.failed.n - len(e.failed.first); more > 0 {
		fmt.Fprintf(r.err, "given up: %s more; see %s\n", say.Count(more, "call"), e.Results)
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
