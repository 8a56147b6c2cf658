package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"habilita/internal/control"
)

func (a *app) show() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "One call with its result",
		GroupID: groupSee,
		Long: `Show one call with its result. If an id was given in several batches or for several tokens, it
shows all of them. A call that is not due yet (--at, --in) has due_at.`,
		Example: `  enqueue show order-1001
  enqueue show order-1001 --json | jq -r .state`,
		Args: exactly(1, "the id of a call"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			calls, err := s.op.Show(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			for i, c := range calls {
				var due control.Time
				if due, err = s.op.DueAt(cmd.Context(), c); err != nil {
					return err
				}
				switch {
				case asJSON && !due.IsZero():
					err = writeJSON(a.out, control.ScheduledCall{CallRecord: c, DueAt: due})
				case asJSON:
					err = writeJSON(a.out, c)
				default:
					if i > 0 {
						fmt.Fprintln(a.out)
					}
					err = a.printCall(cmd.Context(), s.op, c, due)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a call")
	return cmd
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
