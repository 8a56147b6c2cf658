package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"habilita/internal/control"
	"habilita/internal/redisconn"
	"habilita/internal/say"
)

const scheduleHelp = `Enqueue the same file again and again, for example every night. Redis keeps the rows of the
file, sealed. At each tick of a cron expression in a time zone, one worker enqueues them as a
batch of its own, named SCHEDULE@TICK.

A run is skipped while the last one has not settled, unless --overlap is given. A run leaves
out the calls of chains that are held (they wait for a person), unless --pile-up is given.
"schedule show" counts them, and "enqueue chains --held" says what they wait for.`

func (a *app) schedule() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Enqueue a file again and again: add, list, show, pause, resume, run, remove",
		Long:  scheduleHelp,
		Example: `  enqueue schedule add nightly --cron '0 2 * * *' --timezone America/Bogota --file operations.csv
  enqueue schedule show nightly
  enqueue schedule run nightly`,
		Args: cobra.ArbitraryArgs,
		RunE: a.noCommand,
	}
	cmd.AddCommand(
		a.scheduleAdd(), a.scheduleList(), a.scheduleShow(),
		a.schedulePause(), a.scheduleResume(), a.scheduleRun(), a.scheduleRemove(),
	)
	return cmd
}

// scheduleName is the argument of the commands that are about one schedule.
func scheduleName() cobra.PositionalArgs { return exactly(1, "the name of a schedule") }

// scheduleAct makes cmd one of pause, resume, run and remove. act does it, and returns what --json
// gives and what people read.
func (a *app) scheduleAct(cmd *cobra.Command, act func(ctx context.Context, op *control.Control, name string) (any, string, error)) *cobra.Command {
	cmd.Args = scheduleName()
	cmd.ValidArgsFunction = a.names(scheduleNames)
	a.jsonFlag(cmd, "one JSON object")
	return a.onRedis(cmd, redisconn.Operator, 0, func(ctx context.Context, s *session, args []string) error {
		out, said, err := act(ctx, s.op, args[0])
		switch {
		case err != nil:
			return err
		case a.json:
			return writeJSON(a.out, out)
		}
		fmt.Fprintln(a.out, said)
		return nil
	})
}

// acted is what pause, resume and remove give with --json.
type acted struct {
	Action   string `json:"action"`
	Schedule string `json:"schedule"`
	Changed  bool   `json:"changed"`
}

func (a *app) schedulePause() *cobra.Command {
	return a.scheduleAct(&cobra.Command{
		Use:   "pause NAME",
		Short: "Let a schedule make no run until it is resumed",
		Long: `Let a schedule make no run until it is resumed. A run that is being enqueued goes on, and
"schedule run" works all the same.`,
		Example: "  enqueue schedule pause nightly",
	}, func(ctx context.Context, op *control.Control, name string) (any, string, error) {
		done, err := op.PauseSchedule(ctx, name)
		said := "paused: `enqueue schedule resume " + say.Quote(name) + "` lets it go on"
		if !done {
			said = "it is paused already"
		}
		return acted{"pause", name, done}, said, err
	})
}

func (a *app) scheduleResume() *cobra.Command {
	return a.scheduleAct(&cobra.Command{
		Use:   "resume NAME",
		Short: "Let a paused schedule go on from its next tick",
		Long: `Let a paused schedule go on from its next tick. Ticks that passed while it was paused are
not made: "schedule run" makes a run now.`,
		Example: "  enqueue schedule resume nightly",
	}, func(ctx context.Context, op *control.Control, name string) (any, string, error) {
		done, err := op.ResumeSchedule(ctx, name)
		if err != nil || !done {
			return acted{"resume", name, done}, "it is not paused", err
		}
		sch, err := op.Schedule(ctx, name)
		return acted{"resume", name, done}, "resumed; its next run is " + nextRun(sch), err
	})
}

func (a *app) scheduleRun() *cobra.Command {
	var overlap bool
	cmd := a.scheduleAct(&cobra.Command{
		Use:   "run NAME",
		Short: "Make a run of a schedule now",
		Long: `Ask for a run now, paused or not. A worker begins it within seconds, as a batch of its own,
and the ticks of the schedule come as before. While the last run has not settled it is
refused, unless --overlap is given.`,
		Example: `  enqueue schedule run nightly
  enqueue schedule run nightly --overlap --json | jq -r .batch`,
	}, func(ctx context.Context, op *control.Control, name string) (any, string, error) {
		batch, err := op.RunSchedule(ctx, name, overlap)
		out := struct {
			Action   string `json:"action"`
			Schedule string `json:"schedule"`
			Batch    string `json:"batch"`
		}{"run", name, batch}
		return out, "batch   " + batch + "\nfollow  enqueue schedule show " + say.Quote(name) + "   (a worker begins it within seconds)", err
	})
	cmd.Flags().BoolVar(&overlap, "overlap", false, "also where the last run has not settled")
	return cmd
}

func (a *app) scheduleRemove() *cobra.Command {
	return a.scheduleAct(&cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a schedule with its rows and history",
		Long: `Remove a schedule with its rows and its history of runs. What its runs enqueued stays and is
made: "enqueue cancel --batch" takes calls out.`,
		Example: "  enqueue schedule remove nightly",
	}, func(ctx context.Context, op *control.Control, name string) (any, string, error) {
		err := op.RemoveSchedule(ctx, name)
		return acted{"remove", name, err == nil}, "removed; what its runs enqueued stays", err
	})
}
