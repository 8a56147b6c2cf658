package main

import (
	"context"

	"github.com/spf13/cobra"

	"habilita/internal/control"
)

func (a *app) scheduleRemove() *cobra.Command {
	return a.scheduleAct(scheduleAction{
		name:  "remove",
		short: "Remove a schedule with its rows and history",
		long: `Remove a schedule with its rows and its history of runs. What its runs enqueued stays and is
made: "enqueue cancel --batch" takes calls out.`,
		example: "  enqueue schedule remove nightly",
		act: func(ctx context.Context, op *control.Control, name string) (any, string, error) {
			err := op.RemoveSchedule(ctx, name)
			return acted{"remove", name, err == nil}, "removed; what its runs enqueued stays", err
		},
	})
}
