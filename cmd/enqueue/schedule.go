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
			return errHelpShown
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
