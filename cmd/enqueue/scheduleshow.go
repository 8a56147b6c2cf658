package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"habilita/internal/control"
)

func (a *app) scheduleShow() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "One schedule with its next run and its last 20 runs",
		Long: `One schedule with its next run and its last 20 runs: the batch of each, what became of it,
and what was passed over. Times are of the schedule's own zone.`,
		Example: `  enqueue schedule show nightly
  enqueue schedule show nightly --json | jq -r '.runs[0].batch'`,
		Args: scheduleName(),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			sch, err := s.op.Schedule(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.out, sch)
			}
			a.printSchedule(sch)
			return nil
		},
		ValidArgsFunction: a.completeSchedule,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}

func (a *app) printSchedule(s control.Schedule) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(a.out, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("schedule", "%s", s.Name)
	line("status", "%s", s.Status)
	line("cron", "%s in %s", s.Cron, s.Timezone)
	line("rows", "%s of %s", thousands(s.Rows), s.Source)
	line("on failure", "%s", s.OnFailure)
	line("missed runs", "%s", s.Missed)
	line("overlap", "%s", yesNo(s.Overlap))
	line("pile up", "%s", yesNo(s.PileUp))
	if s.Status == "paused" {
		line("next run", "none while it is paused: enqueue schedule resume %s", quoteArg(s.Name))
	} else {
		line("next run", "%s", nextRun(s))
	}
	if s.NextBatch != "" {
		line("next batch", "%s", s.NextBatch)
	}
	if s.Current == nil && len(s.Runs) == 0 {
		line("runs", "none yet")
		return
	}
	fmt.Fprintln(a.out)
	t := a.table("tick", "batch", "result")
	if s.Current != nil {
		t.AppendRow([]any{inZone(s, s.Current.Tick), s.Current.Batch, runWords(*s.Current)})
	}
	held := false
	for _, r := range s.Runs {
		t.AppendRow([]any{inZone(s, r.Tick), r.Batch, runWords(r)})
		held = held || r.PassedOver > 0
	}
	t.Render()
	if held {
		fmt.Fprintln(a.out, "\npassed over: chain held. What these wait for: enqueue chains --held")
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
