package main

import (
	"fmt"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/spf13/cobra"

	"habilita/internal/operator"
)

func (a *app) watch() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "watch BATCH",
		Short:   "Live progress of a batch until it is settled",
		GroupID: groupSee,
		Long: `Live progress of a batch: drawn in place on a terminal, else a line for every change. It
ends when the batch is settled, that is, when nothing more happens without a person; to
stop watching changes nothing. The exit status is 0, whatever the counts are: use
"enqueue bulk --wait" where a script has to know.`,
		Example: `  enqueue watch november
  enqueue watch november --json | jq .succeeded`,
		Args: exactly(1, "a batch"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			return a.watchBatch(cmd, s, args[0], asJSON)
		},
	}
	cmd.ValidArgsFunction = a.completeBatch
	cmd.Flags().BoolVar(&asJSON, "json", false, "a JSON object for every change, as of status --json")
	return cmd
}

func (a *app) watchBatch(cmd *cobra.Command, s *session, batch string, asJSON bool) error {
	var m meter = &lines{w: a.out}
	if terminal(a.out) && !asJSON {
		var err error
		if m, err = newMeter("auto", a.out, progress.UnitsDefault); err != nil {
			return err
		}
	}
	// One that does not exist is told before anything is drawn.
	last, err := s.op.Status(cmd.Context(), batch)
	if err != nil {
		return err
	}
	_, err = s.op.WaitSettled(cmd.Context(), batch, 0, 0, func(st operator.Status) {
		last = st
		if asJSON {
			_ = writeJSON(a.out, st)
			return
		}
		m.update(int64(st.Ended()), int64(st.Total), counts(st))
	})
	m.stop()
	if err != nil {
		return err
	}
	if !asJSON {
		fmt.Fprintf(a.out, "settled at %s\n", last.SettledAt)
		if n := next(last); n != "" {
			fmt.Fprintln(a.out, n)
		}
	}
	return nil
}
