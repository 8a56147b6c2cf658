package main

import (
	"context"

	"github.com/spf13/cobra"

	"habilita/internal/control"
)

func (a *app) scheduleResume() *cobra.Command {
	return a.scheduleAct(scheduleAction{
		name:  "resume",
		short: "Let a paused schedule go on from its next tick",
		long: `Let a paused schedule go on from its next tick. Ticks that passed while it was paused are
not made: "schedule run" makes a run now.`,
		example: "  enqueue schedule resume nightly",
		act: func(ctx context.Context, op *control.Control, name string) (any, string, error) {
			done, err := op.ResumeSchedule(ctx, name)
			if err != nil || !done {
				return acted{"resume", name, done}, "it is not paused", err
			}
			sch, err := op.Schedule(ctx, name)
			return acted{"resume", name, done}, "resumed; its next run is " + nextRun(sch), err
		},
	})
}
