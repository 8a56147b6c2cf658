package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/localrun"
	"habilita/internal/localrun/wal"
)

// fileRun is one run of run. The file is read as bulk reads it.
type fileRun struct {
	*bulkRun
	flags runFlags
	zone  *time.Location
}

// localWorker is how the calls are made. What happens to each is in the results: only
// what is wrong is logged, unless more was asked for.
func (a *app) localWorker(cmd *cobra.Command, s config.Settings) engine.WorkerOptions {
	if a.getenv("LOG_LEVEL") == "" && !cmd.Flags().Changed("log-level") {
		s.LogLevel = zerolog.ErrorLevel
	}
	return engine.WorkerOptions{
		Options:    engine.Options{Quota: quotaSettings(s)},
		WolkvoxURL: s.WolkvoxURL, CallTimeout: s.CallTimeout, VendorTimeout: s.VendorTimeout, SlotMargin: s.SlotMargin,
		Concurrency: s.Concurrency, ServerConcurrency: s.ServerConcurrency, MaxAttempts: s.MaxAttempts, GiveUpAfter: s.GiveUpAfter,
		RetryMin: s.RetryMin, RetryMax: s.RetryMax, ShutdownTimeout: s.ShutdownTimeout,
		// The results stay in a file: nothing is to be forgotten while this process lives.
		Retention: forever,
		Log:       config.Logger(s, zerolog.SyncWriter(a.err), terminal(a.err)),
	}
}

const forever = 100 * 365 * 24 * time.Hour

func csvRows(w io.Writer) (func(*control.CallRecord) error, error) {
	return reportWriter(w, "csv", false)
}

func (r *fileRun) run(ctx context.Context, c localrun.Config) error {
	r.zone = c.Worker.Quota.Location
	started := time.Now()
	job, err := localrun.Open(ctx, c)
	if err != nil {
		return r.notOpened(ctx, c.File, err)
	}
	end, err := r.work(ctx, job, started)
	if cerr := job.Close(); err == nil && cerr != nil {
		err = cerr
	}
	if rerr := r.rejects.Close(); err == nil {
		err = rerr
	}
	if err != nil {
		return r.interrupted(ctx, end, err)
	}
	return r.finish(end)
}

// work enqueues and makes the calls.
func (r *fileRun) work(ctx context.Context, job *localrun.Job, started time.Time) (runResult, error) {
	end := runResult{Resumed: job.Resumed(), File: r.in.name, Results: localrun.ResultsOf(r.in.name)}
	fmt.Fprintf(r.told, "results %s\njournal %s   (keep it: it is how to go on)\nresume  %s\n",
		end.Results, localrun.JournalOf(r.in.name), r.resume())
	sum, err := job.Enqueue(ctx, r.calls(), engine.OnReject(r.reject), engine.OnLeftOut(r.leftOut),
		engine.OnProgress(func(s engine.Summary) { r.meter.update(r.in.read(), r.in.size, count(s.Rows, "row")+" read") }))
	r.meter.stop()
	end.read(sum)
	if err != nil {
		return end, err
	}
	r.did(sum)
	r.tellRejects(sum, r.resume())
	if end.Resumed {
		if s, err := job.Status(ctx); err == nil {
			fmt.Fprintf(r.told, "goes on: %s\n", counts(s))
		}
	}
	m, err := newMeter(r.flags.progress, r.err, progress.UnitsDefault)
	if err != nil {
		return end, err
	}
	state, err := job.Work(ctx, r.flags.today, func(s localrun.State) { m.update(int64(s.Ended()), int64(s.Total), r.words(s)) })
	m.stop()
	end.state(state)
	end.Seconds = seconds(time.Since(started))
	if err == nil {
		end.failed, err = failures(context.WithoutCancel(ctx), job)
	}
	return end, err
}

// words are a state on one line.
func (r *fileRun) words(s localrun.State) string {
	words := counts(s.Status)
	if n := len(s.Tomorrow); n > 0 {
		words += fmt.Sprintf("; today's quota is used up for %s, until %s", count(n, "chain"), local(control.Time{Time: s.Next}, r.zone))
	}
	return words
}

// notOpened says why a job can't begin or go on.
func (r *fileRun) notOpened(ctx context.Context, file string, err error) error {
	var (
		old    *localrun.OldError
		policy *localrun.PolicyError
		damage *wal.DamageError
	)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, localrun.ErrBusy):
		return fmt.Errorf("another process works on %s: wait for it, or end it", file)
	case errors.As(err, &old):
		return usagef("%v", err)
	case errors.As(err, &policy):
		return usagef("%v: use --on-failure %s", err, policy.Have)
	case errors.As(err, &damage):
		return fmt.Errorf("%w: put it back from a copy; without it nobody can know what was called. "+
			"To begin anew all the same, remove it: what succeeded is then made again", err)
	}
	return err
}
