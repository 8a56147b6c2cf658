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

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"habilita/internal/control"
	"habilita/internal/redisconn"
)

func (a *app) batches() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "batches",
		Short: "All batches with their counts, the newest first",
		Long:  "All batches with their counts, the newest first. A settled batch is listed until RETENTION is over.",
		Example: `  enqueue batches
  enqueue batches --json | jq -r 'select(.settled | not) | .batch'`,
	}
	a.jsonFlag(cmd, "one JSON object a line, as of status --json")
	return a.onRedis(cmd, redisconn.Reader, 0, func(ctx context.Context, s *session, _ []string) error {
		header := table.Row{"batch", "total", "succeeded", "failed", "skipped", "cancelled", "open", "held", "settled", "complete", "created at"}
		return list(a, s.control.Batches(ctx), "there is no batch: `enqueue bulk` makes one", header, func(b control.Status) table.Row {
			settled := yesNo(b.Settled)
			if b.Unread > 0 {
				settled = "unknown"
			}
			return table.Row{b.Batch, b.Total, b.Succeeded, b.Failed, b.Skipped, b.Cancelled, b.Open, b.HeldChains, settled, yesNo(b.Complete), a.local(b.CreatedAt)}
		})
	})
}

// newTable makes a table without lines that renders to the output.
func (a *app) newTable(header table.Row) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(a.out)
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft = ""
	style.Box.PaddingRight = "  "
	t.SetStyle(style)
	t.AppendHeader(header)
	return t
}

// showEach shows each item of a sequence: line writes it, or with --json it is one object a line. If there are no items,
// people read none. At the end it returns the errors of what can't be read.
func showEach[T any](a *app, w io.Writer, all iter.Seq2[T, error], none string, line func(T) error) error {
	if a.json {
		line = func(one T) error { return writeJSON(w, one) }
	}
	var unread error
	empty := true
	for one, err := range all {
		if err == nil {
			empty, err = false, line(one)
		}
		if err != nil && control.Unread(err) == 0 {
			return err
		}
		unread = errors.Join(unread, err)
	}
	if empty && unread == nil && !a.json {
		fmt.Fprintln(w, none)
	}
	return unread
}

// list is like showEach, but shows a table that has the cells of an item in each row.
func list[T any](a *app, all iter.Seq2[T, error], none string, header table.Row, cells func(T) table.Row) error {
	t := a.newTable(header)
	err := showEach(a, a.out, all, none, func(one T) error { t.AppendRow(cells(one)); return nil })
	if t.Length() > 0 && (err == nil || control.Unread(err) > 0) {
		t.Render()
	}
	return err
}

// sequence yields rows, and then the error of reading them.
func sequence[T any](rows []T, err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
		if err != nil {
			yield(*new(T), err)
		}
	}
}

// batchNames returns up to 50 names of batches, for completion.
func batchNames(ctx context.Context, s *session) (names []string) {
	for b, err := range s.control.Batches(ctx) {
		if err != nil || len(names) == 50 {
			break
		}
		names = append(names, b.Batch)
	}
	return names
}

func (a *app) report() *cobra.Command {
	var format string
	var excel bool
	var only []string
	cmd := &cobra.Command{
		Use:   "report BATCH",
		Short: "Every call of a batch with its result",
		Long: `Write every call of a batch with its result, in no order, with constant memory. started_at is
the time of the first attempt. retry, skip and cancel take the column chain as --chain.

Columns: id, server, token_id (an HMAC, never the token), ref, chain, state, attempts, code and msg
(of the vendor), error, enqueued_at, started_at, finished_at (UTC), row (its line), reason.

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
				if !slices.Contains(control.States(), s) {
					return usagef("--state %q is not one of %s", s, strings.Join(control.States(), ", "))
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
	choice(cmd, &format, "format", "csv or jsonl", "csv", "jsonl")
	cmd.Flags().BoolVar(&excel, "excel", false, "csv with a byte order mark and semicolons, for Excel")
	cmd.Flags().StringSliceVar(&only, "state", nil, "only calls in these states: "+strings.Join(control.States(), ", "))
	complete(cmd, "state", control.States()...)
	return a.onRedis(cmd, redisconn.Reader, 0, func(ctx context.Context, s *session, args []string) error {
		return writeReport(a.out, s.control.Report(ctx, args[0]), format, excel, only)
	})
}

// writeReport writes the records whose state is in only (empty: all). If the batch does not
// exist, it writes nothing.
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
		if err == nil && (len(only) == 0 || slices.Contains(only, string(r.State))) {
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

// choice gives a command a flag that has one of some values, and the shell these values. The first is the default.
func choice(cmd *cobra.Command, to *string, name, means string, values ...string) {
	cmd.Flags().StringVar(to, name, values[0], means)
	complete(cmd, name, values...)
}

// complete gives a flag's values to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag is missing: a mistake of the program
	}
}
