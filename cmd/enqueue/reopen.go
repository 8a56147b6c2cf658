package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"habilita/internal/control"
	"habilita/internal/redisconn"
)

func (a *app) reopen() *cobra.Command {
	var asJSON bool
	d := decision{name: "reopen", noun: "cancelled call"}
	cmd := &cobra.Command{
		Use:     "reopen BATCH",
		Short:   "Let a cancelled batch take rows again",
		GroupID: groupAct,
		Long: `Let a cancelled batch take rows again. Nothing is made by itself: give its file again. Calls
that were cancelled before they were sent are then new. Others stay cancelled.`,
		Example: `  enqueue reopen november
  enqueue bulk operations.csv --batch november`,
		Args:              exactly(1, "a batch"),
		ValidArgsFunction: a.completeBatch,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.openAs(cmd, redisconn.Operator)
			if err != nil {
				return err
			}
			defer s.close()
			sel := control.Selection{Batch: args[0]}
			n, err := s.op.Reopen(cmd.Context(), sel)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.out, decided{Action: d.name, Count: n})
			}
			fmt.Fprintf(a.out, "batch %s takes rows again: it has %s, and what was not sent is new when its row is given\n",
				args[0], count(n, d.noun))
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, `one JSON object: {"action","count"}`)
	return cmd
}
