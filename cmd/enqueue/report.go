package main

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"habilita/internal/operator"
)

var callStates = []string{"queued", "running", "waiting", "succeeded", "failed", "skipped", "cancelled"}

func (a *app) report() *cobra.Command {
	var format string
	var only []string
	cmd := &cobra.Command{
		Use:     "report BATCH",
		Short:   "Every call of a batch with its result",
		GroupID: groupSee,
		Long: `Every call of a batch with its result, as it comes from the ledger: in no order, with
constant memory. started_at is the first attempt's. chain is what --chain of retry, skip
and cancel takes.

csv is for people and their spreadsheets: a text that begins with = + - @, a tab or a line
break gets an apostrophe before it, so that no spreadsheet takes it for a formula.
jsonl is exact, for programs.`,
		Example: `  enqueue report november > november.csv
  enqueue report november --state failed,waiting
  enqueue report november --format jsonl | jq -r 'select(.attempts > 3) | .id'`,
		Args: exactly(1, "a batch"),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, s := range only {
				if !slices.Contains(callStates, s) {
					return usagef("--state %q is none of %s", s, strings.Join(callStates, ", "))
				}
			}
			w := bufio.NewWriter(a.out)
			write, err := reportWriter(w, format)
			if err != nil {
				return err
			}
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			first := true
			for r, err := range s.op.Report(cmd.Context(), args[0]) {
				if err != nil {
					_ = w.Flush()
					return err
				}
				if first {
					first = false
					if err := write(nil); err != nil {
						return err
					}
				}
				if len(only) > 0 && !slices.Contains(only, r.State) {
					continue
				}
				if err := write(&r); err != nil {
					return fmt.Errorf("the report can't be written: %w", err)
				}
			}
			if first {
				if err := write(nil); err != nil {
					return err
				}
			}
			return w.Flush()
		},
	}
	cmd.ValidArgsFunction = a.completeBatch
	cmd.Flags().StringVar(&format, "format", "csv", "csv or jsonl")
	cmd.Flags().StringSliceVar(&only, "state", nil, "only calls in these states: "+strings.Join(callStates, ", "))
	complete(cmd, "format", "csv", "jsonl")
	complete(cmd, "state", callStates...)
	return cmd
}

// reportWriter returns a function that writes a record; nil stands for the header.
func reportWriter(w io.Writer, format string) (func(*operator.CallRecord) error, error) {
	switch format {
	case "csv":
		c := csv.NewWriter(w)
		return func(r *operator.CallRecord) error {
			fields := operator.Columns()
			if r != nil {
				fields = r.Fields()
				for i := range fields {
					fields[i] = noFormula(fields[i])
				}
			}
			if err := c.Write(fields); err != nil {
				return err
			}
			c.Flush()
			return c.Error()
		}, nil
	case "jsonl":
		return func(r *operator.CallRecord) error {
			if r == nil {
				return nil
			}
			return writeJSON(w, r)
		}, nil
	}
	return nil, usagef("--format %q is none of csv, jsonl", format)
}

// noFormula is a text that no spreadsheet takes for a formula.
func noFormula(s string) string {
	if s != "" && strings.IndexByte("=+-@\t\r\n", s[0]) >= 0 {
		return "'" + s
	}
	return s
}

// complete gives a flag's values to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag is missing: a mistake of the program
	}
}
