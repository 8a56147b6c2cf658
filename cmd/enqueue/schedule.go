package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"habilita/internal/control"
	"habilita/internal/redisconn"
)

const scheduleHelp = `Enqueue the same file again and again, for example every night. Redis keeps the rows of the
file, sealed. At each tick of a cron expression in a time zone, one worker enqueues them as a
batch of its own, named SCHEDULE@TICK.

A run is skipped while the last one has not settled, unless --overlap is given. A run leaves
out the calls of chains that are held (they wait for a person), unless --pile-up is given.
"schedule show" counts them, and "enqueue chains --held" says what they wait for.`

func (a *app) schedule() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "schedule",
		Short:   "Enqueue a file again and again: add, list, show, pause, resume, run, remove",
		GroupID: groupGive,
		Long:    scheduleHelp,
		Example: `  enqueue schedule add nightly --cron '0 2 * * *' --timezone America/Bogota --file operations.csv
  enqueue schedule show nightly
  enqueue schedule run nightly`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usagef("there is no command %q%s", "schedule "+args[0], suggestion(cmd, args[0]))
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(a.err)
			_ = cmd.Help()
			return errUsageTold
		},
	}
	cmd.AddCommand(
		a.scheduleAdd(), a.scheduleList(), a.scheduleShow(),
		a.schedulePause(), a.scheduleResume(), a.scheduleRun(), a.scheduleRemove(),
	)
	return cmd
}

// scheduleName is the argument of the commands that are about one schedule.
func scheduleName() cobra.PositionalArgs { return exactly(1, "the name of a schedule") }

// scheduleAction is one of pause, resume, run and remove.
type scheduleAction struct {
	name, short, long, example string
	// act does it, and returns what --json gives and what people read.
	act func(ctx context.Context, op *control.Control, name string) (any, string, error)
}

func (a *app) scheduleAct(d scheduleAction) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: d.name + " NAME", Short: d.short, Long: d.long, Example: d.example, Args: scheduleName(),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.openAs(cmd, redisconn.Operator)
			if err != nil {
				return err
			}
			defer s.close()
			out, said, err := d.act(cmd.Context(), s.op, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.out, out)
			}
			fmt.Fprintln(a.out, said)
			return nil
		},
		ValidArgsFunction: a.completeSchedule,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}

// acted is what pause, resume and remove give with --json.
type acted struct {
	Action   string `json:"action"`
	Schedule string `json:"schedule"`
	Changed  bool   `json:"changed"`
}

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
