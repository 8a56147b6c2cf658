package main

import (
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/ledger"
	"habilita/internal/localrun"
	"habilita/internal/rows"
)

// runFlags are what run was asked for.
type runFlags struct {
	onFailure, rejects, progress                   string
	input                                          inputFlags
	retryFailed, skipFailed, today, dryRun, asJSON bool
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
without id by what it says. A bad row is told as FILE:LINE: FIELD: what is wrong. The rows
behind it in its chain are withheld until it is corrected; --rejects keeps them all (with
their tokens, mode 0600).

One process at a time works on a file, and it counts only what it sends itself. So do not use a
token here and through Redis on the same day. The journal has no token, but the key that tokens
get their names from; it is private (mode 0600). When all is done, you can remove it.

It ends when nothing more happens without a person. If the day's quota is used up, it waits for
the next day; with --today it ends. Ctrl-C lets requests in flight end first.

Exit status: 0 every call of the file succeeded; 3 some did not, or wait for tomorrow, or rows
were rejected, conflict or were withheld; 1 it was stopped or failed.`

// localSettings are those of a job with no Redis.
var localSettings = []config.Group{config.Logging, config.Limits, config.Calls}

func (a *app) runLocal() *cobra.Command {
	var o runFlags
	cmd := &cobra.Command{
		Use:     "run FILE",
		Short:   "Make all calls of a file in this process, with no Redis and no worker",
		GroupID: groupGive,
		Long:    runHelp,
		Example: `  enqueue run operations.csv --dry-run
  enqueue run operations.csv                  # and the same again, to go on
  enqueue run operations.csv --retry-failed   # what was given up is tried again
  enqueue run operations.csv --today --json`,
		Args: exactly(1, "a file"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runFile(cmd, args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.onFailure, "on-failure", "hold", "hold, skip or cancel: what happens to a chain whose call was given up")
	f.BoolVar(&o.retryFailed, "retry-failed", false, "try calls again that were given up at an earlier start")
	f.BoolVar(&o.skipFailed, "skip-failed", false, "leave calls that were given up, and go on behind them")
	f.BoolVar(&o.today, "today", false, "end when all that is left waits for tomorrow's quota")
	f.BoolVar(&o.dryRun, "dry-run", false, "check every row and count; calls nothing and writes no journal")
	f.StringVar(&o.rejects, "rejects", "", "file to keep rows in that were rejected, conflict or were withheld, as they were")
	f.StringVar(&o.progress, "progress", "auto", "auto (a bar on a terminal), plain or none")
	o.input.bind(cmd)
	f.BoolVar(&o.asJSON, "json", false, "end with one JSON object on standard output")
	config.Bind(f, localSettings...)
	complete(cmd, "on-failure", "hold", "skip", "cancel")
	complete(cmd, "progress", "auto", "plain", "none")
	return cmd
}

func (a *app) runFile(cmd *cobra.Command, file string, o runFlags) error {
	if _, err := ledger.ParsePolicy(o.onFailure); err != nil {
		return usagef("--on-failure: %v", err)
	}
	again := localrun.Leave
	switch {
	case o.retryFailed && o.skipFailed:
		return usagef("--retry-failed and --skip-failed can't both be given")
	case o.retryFailed:
		again = localrun.Retry
	case o.skipFailed:
		again = localrun.Skip
	}
	in, err := a.openInput(cmd.Context(), file, o.input)
	if err != nil {
		return err
	}
	defer in.close()
	if in.file == nil {
		return usagef("run needs a file that it can read again at the next start: %s is none", file)
	}
	name, _, err := in.batchName()
	if err != nil {
		return err
	}
	m, err := newMeter(o.progress, a.err, progress.UnitsBytes)
	if err != nil {
		return err
	}
	rows := &bulkRun{app: a, o: bulkFlags{batch: name, asJSON: o.asJSON, input: o.input}, in: in, meter: m, rejects: rows.NewRejects(o.rejects), told: a.out, whole: true}
	if o.asJSON {
		rows.told = a.err
	}
	if o.dryRun {
		rows.o.plan = planFlags{latency: 2 * time.Second, workers: 1}
		set, err := a.planning(cmd, rows.o.plan)
		if err != nil {
			return err
		}
		return rows.dry(cmd.Context(), set, nil)
	}
	set, err := config.Load(cmd.Flags(), a.getenv, localSettings...)
	if err != nil {
		return err
	}
	r := &fileRun{bulkRun: rows, flags: o}
	return r.run(cmd.Context(), localrun.Config{
		File: file, Batch: name, Policy: o.onFailure, Again: again, Row: csvRows, Worker: a.localWorker(cmd, set),
	})
}
