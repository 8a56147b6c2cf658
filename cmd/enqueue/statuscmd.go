package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"habilita/internal/control"
)

func (a *app) statusCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status BATCH",
		Short:   "Counts of a batch",
		GroupID: groupSee,
		Long: `Counts of a batch: how many calls succeeded, were given up (failed), skipped or
cancelled, and how many are open. A batch is settled when nothing more happens without a
person: every open call stands behind one that was given up. The exit status is 0,
whatever the counts are; it is 1 if a part of them could not be read.`,
		Example: `  enqueue status november
  enqueue status november --json | jq .failed`,
		Args: exactly(1, "a batch"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			st, err := s.op.Status(cmd.Context(), args[0])
			if err != nil && st.Unread == 0 {
				return err
			}
			if asJSON {
				return errors.Join(writeJSON(a.out, st), err)
			}
			a.printStatus(st)
			return err
		},
	}
	cmd.ValidArgsFunction = a.completeBatch
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}

func (a *app) printStatus(s control.Status) {
	state := "not settled: it goes on"
	if s.Settled {
		state = "settled at " + s.SettledAt.String()
	}
	if s.Filling {
		state = "not settled: a producer still adds rows"
	}
	if !s.DueAt.IsZero() {
		word := "goes on with calls that were put off at "
		if s.PutOff {
			word = "begins at "
		}
		state = word + s.DueAt.String()
	}
	if s.CutOff {
		state += "\nincomplete: the last run was cut off or left rows out; give the whole file again"
	}
	if s.Unread > 0 {
		state = fmt.Sprintf("these counts lack %s of Redis that can't be read now: nobody can tell whether it is settled", count(s.Unread, "part"))
	}
	fmt.Fprintf(a.out, "batch       %s\ntotal       %d\nsucceeded   %d\nfailed      %d\nskipped     %d\ncancelled   %d\nopen        %d\nheld chains %d\ncreated at  %s\n%s\n",
		s.Batch, s.Total, s.Succeeded, s.Failed, s.Skipped, s.Cancelled, s.Open, s.HeldChains, s.CreatedAt, state)
	if n := next(s); n != "" {
		fmt.Fprintln(a.out, n)
	}
}
