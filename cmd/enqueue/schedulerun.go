package main

import (
	"context"

	"github.com/spf13/cobra"

	"habilita/internal/control"
)

func (a *app) scheduleRun() *cobra.Command {
	var overlap bool
	cmd := a.scheduleAct(scheduleAction{
		name:  "run",
		short: "Make a run of a schedule now",
		long: `Ask for a run now, paused or not. A worker begins it within seconds, as a batch of its own,
and the ticks of the schedule come as before. While the last run has not settled it is
refused, unless --overlap is given.`,
		example: `  enqueue schedule run nightly
  enqueue schedule run nightly --overlap --json | jq -r .batch`,
		act: func(ctx context.Context, op *control.Control, name string) (any, string, error) {
			batch, err := op.RunSchedule(ctx, name, overlap)
			out := struct {
				Action   string `json:"action"`
				Schedule string `json:"schedule"`
				Batch    string `json:"batch"`
			}{"run", name, batch}
			return out, "batch   " + batch + "\nfollow  enqueue schedule show " + quoteArg(name) + "   (a worker begins it within seconds)", err
		},
	})
	cmd.Flags().BoolVar(&overlap, "overlap", false, "also where the last run has not settled")
	return cmd
}
