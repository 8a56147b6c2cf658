package main

import (
	"context"

	"github.com/spf13/cobra"

	"habilita/internal/control"
)

func (a *app) schedulePause() *cobra.Command {
	return a.scheduleAct(scheduleAction{
		name:  "pause",
		short: "Let a schedule make no run until it is resumed",
		long: `Let a schedule make no run until it is resumed. A run that is being enqueued goes on, and
"schedule run" works all the same.`,
		example: "  enqueue schedule pause nightly",
		act: func(ctx context.Context, op *control.Control, name string) (any, string, error) {
			done, err := op.PauseSchedule(ctx, name)
			said := "paused: `enqueue schedule resume " + quoteArg(name) + "` lets it go on"
			if !done {
				said = "it is paused already"
			}
			return acted{"pause", name, done}, said, err
		},
	})
}
