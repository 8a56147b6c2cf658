package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"habilita/internal/control"
	"habilita/internal/redisconn"
)

var callStates = []string{"queued", "running", "waiting", "succeeded", "failed", "skipped", "cancelled"}

func (a *app) report() *cobra.Command {
	var format string
	var excel bool
	var only []string
	cmd := &cobra.Command{
		Use:   "report BATCH",
		Short: "Every call of a batch with its result",
		Long: `Write every call of a batch with its result, in no order, with constant memory. started_at is
the time of the first attempt. retry, skip and cancel take the column chain as --chain.

csv is for people and their spreadsheets. A text that begins with = + - @, a tab or a line
break gets an apostrophe before it, so that no spreadsheet takes it for a formula. --excel
writes a byte order mark and semicolons, so Excel opens it by a double click in most of Latin
America and Europe. jsonl is exact, for programs.`,
		Example: `  enqueue report november > november.csv
  enqueue report november --excel > november.csv
  enqueue report november --state failed,waiting
  enqueue report november --format jsonl | jq -r 'select(.attempts > 3) | .id'`,
		PreRunE: func(*cobra.Command, []string) error {
			for _, s := range only {
				if !slices.Contains(callStates, s) {
					return usagef("--state %q is not one of %s", s, strings.Join(callStates, ", "))
				}
			}
			switch {
			case format != "csv" && format != "jsonl":
				return usagef("--format %q is not one of csv, jsonl", format)
			case excel && format != "csv":
				return usagef("--excel is for --format csv")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "csv", "csv or jsonl")
	cmd.Flags().BoolVar(&excel, "excel", false, "csv with a byte order mark and semicolons, for Excel")
	cmd.Flags().StringSliceVar(&only, "state", nil, "only calls in these states: "+strings.Join(callStates, ", "))
	complete(cmd, "format", "csv", "jsonl")
	complete(cmd, "state", callStates...)
	return a.onRedis(cmd, redisconn.Reader, 0, func(ctx context.Context, s *session, args []string) error {
		return writeReport(a.out, s.op.Report(ctx, args[0]), format, excel, only)
	})
}

// writeReport writes the records that are in a state of only (none: all). If the batch is not
// there, it writes nothing.
func writeReport(out io.Writer, records iter.Seq2[control.CallRecord, error], format string, excel bool, only []string) error {
	w := bufio.NewWriter(out)
	write := func(r control.CallRecord) error { return writeJSON(w, r) }
	if format == "csv" {
		c, err := control.NewCSV(w, excel) // it has no buffer of its own
		if err != nil {
			return err
		}
		write = c.Write
	}
	read := false
	for r, err := range records {
		if err == nil && (len(only) == 0 || slices.Contains(only, r.State)) {
			if err = write(r); err != nil {
				err = fmt.Errorf("the report can't be written: %w", err)
			}
		}
		switch {
		case err != nil && read:
			return errors.Join(err, w.Flush())
		case err != nil:
			return err
		}
		read = true
	}
	return w.Flush()
}

// complete gives a flag's values to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag is missing: a mistake of the program
	}
}

func (a *app) show() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "One call with its result",
		Long: `Show one call with its result. If an id was given in several batches or for several tokens, it
shows all of them. A call that is not due yet (--at, --in) has due_at.`,
		Example: `  enqueue show order-1001
  enqueue show order-1001 --json | jq -r .state`,
		Args: exactly(1, "the id of a call"),
	}
	a.jsonFlag(cmd, "one JSON object a call")
	return a.onRedis(cmd, redisconn.Reader, 0, func(ctx context.Context, s *session, args []string) error {
		calls, err := s.op.Show(ctx, args[0])
		for i, c := range calls {
			var due control.Time
			if due, err = s.op.DueAt(ctx, c); err != nil {
				return err
			}
			switch {
			case a.json && !due.IsZero():
				err = writeJSON(a.out, control.ScheduledCall{CallRecord: c, DueAt: due})
			case a.json:
				err = writeJSON(a.out, c)
			default:
				if i > 0 {
					fmt.Fprintln(a.out)
				}
				err = a.printCall(ctx, s.op, c, due)
			}
			if err != nil {
				return err
			}
		}
		return err
	})
}

func (a *app) printCall(ctx context.Context, op *control.Control, c control.CallRecord, due control.Time) error {
	batch, err := op.BatchName(ctx, c)
	if err != nil {
		return err
	}
	if batch != "" {
		fmt.Fprintf(a.out, "%-12s %s\n", "batch", batch)
	}
	if !due.IsZero() {
		fmt.Fprintf(a.out, "%-12s %s\n", "due_at", due)
	}
	fields := c.Fields()
	for i, name := range control.Columns() {
		if fields[i] != "" {
			fmt.Fprintf(a.out, "%-12s %s\n", name, fields[i])
		}
	}
	return nil
}
