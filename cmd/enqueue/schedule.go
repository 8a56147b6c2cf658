package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"habilita/internal/control"
	"habilita/internal/redisconn"
	"habilita/internal/say"
	"habilita/internal/schedule"
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

// scheduleAct makes cmd one of pause, resume, run and remove. act does it, and returns what --json
// gives and what people read.
func (a *app) scheduleAct(cmd *cobra.Command, act func(ctx context.Context, op *control.Control, name string) (acted, string, error)) *cobra.Command {
	a.jsonFlag(cmd, "one JSON object")
	return a.onRedis(cmd, redisconn.Operator, 0, func(ctx context.Context, s *session, args []string) error {
		out, said, err := act(ctx, s.control, args[0])
		if err != nil {
			return err
		}
		out.Action, out.Schedule = cmd.Name(), args[0]
		return a.give(out, nil, func() { fmt.Fprintln(a.out, said) })
	})
}

// acted is what --json gives: for run the batch, for the others whether they changed anything.
type acted struct {
	Action   string `json:"action"`
	Schedule string `json:"schedule"`
	Changed  *bool  `json:"changed,omitempty"`
	Batch    string `json:"batch,omitempty"`
	Stopped  string `json:"stopped_batch,omitempty"` // of remove: the run that was not enqueued to its end
}

func (a *app) schedulePause() *cobra.Command {
	return a.scheduleAct(&cobra.Command{
		Use:   "pause NAME",
		Short: "Stop the runs of a schedule until it is resumed",
		Long: `Stop the runs of a schedule until it is resumed. A run that is being enqueued goes on, and
"schedule run" still works.`,
		Example: "  enqueue schedule pause nightly",
	}, func(ctx context.Context, op *control.Control, name string) (acted, string, error) {
		done, err := op.PauseSchedule(ctx, name)
		said := "paused: `enqueue schedule resume " + say.Quote(name) + "` lets it go on"
		if !done {
			said = "it is paused already"
		}
		return acted{Changed: new(done)}, said, err
	})
}

func (a *app) scheduleResume() *cobra.Command {
	return a.scheduleAct(&cobra.Command{
		Use:   "resume NAME",
		Short: "Let a paused schedule go on from its next tick",
		Long: `Let a paused schedule go on from its next tick. Ticks that passed while it was paused have
no run; "schedule run" makes one now.`,
		Example: "  enqueue schedule resume nightly",
	}, func(ctx context.Context, op *control.Control, name string) (acted, string, error) {
		done, err := op.ResumeSchedule(ctx, name)
		if err != nil || !done {
			return acted{Changed: new(done)}, "it is not paused", err
		}
		sch, err := op.Schedule(ctx, name)
		return acted{Changed: new(done)}, "resumed; its next run is " + nextRun(sch), err
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
	}, func(ctx context.Context, op *control.Control, name string) (acted, string, error) {
		batch, err := op.RunSchedule(ctx, name, overlap)
		return acted{Batch: batch}, "batch   " + batch + "\nfollow  enqueue schedule show " + say.Quote(name) + "   (a worker begins it within seconds)", err
	})
	cmd.Flags().BoolVar(&overlap, "overlap", false, "make the run even if the last one has not settled")
	return cmd
}

func (a *app) scheduleRemove() *cobra.Command {
	return a.scheduleAct(&cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a schedule with its rows and history",
		Long: `Remove a schedule with its rows and its history of runs. What its runs enqueued stays and is
made; "enqueue cancel --batch" cancels it. No more rows of a run that is being enqueued are added.`,
		Example: "  enqueue schedule remove nightly",
	}, func(ctx context.Context, op *control.Control, name string) (acted, string, error) {
		stopped, err := op.RemoveSchedule(ctx, name)
		said := "removed; what its runs enqueued stays"
		if stopped != "" {
			said += "\nits run " + stopped + " was not enqueued to its end, and stops. `enqueue bulk FILE --batch " + say.Quote(stopped) + "` enqueues the rest"
		}
		return acted{Changed: new(err == nil), Stopped: stopped}, said, err
	})
}

func (a *app) scheduleList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "All schedules, each with its next and its last run",
		Long:  "All schedules, each with its next and its last run. Times are in the schedule's own zone.",
		Example: `  enqueue schedule list
  enqueue schedule list --json | jq -r 'select(.status == "paused") | .schedule'`,
	}
	a.jsonFlag(cmd, "one JSON object a schedule")
	return a.onRedis(cmd, redisconn.Reader, 0, func(ctx context.Context, s *session, _ []string) error {
		header := table.Row{"schedule", "status", "cron", "timezone", "rows", "next run", "last run", "result"}
		return list(a, sequence(s.control.Schedules(ctx)), "there is no schedule: `enqueue schedule add --help` says how to add one", header, func(sch control.Schedule) table.Row {
			last, result := "", ""
			if len(sch.Runs) > 0 {
				last, result = inZone(sch, sch.Runs[0].Tick), runWords(sch.Runs[0])
			}
			return table.Row{sch.Name, sch.Status, sch.Cron, sch.Timezone, sch.Rows, inZone(sch, sch.NextRun), last, result}
		})
	})
}

// inZone formats a time for people in the schedule's zone.
func inZone(s control.Schedule, t control.Time) string {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		zone = time.UTC
	}
	return local(t, zone)
}

// nextRun says when the next run is.
func nextRun(s control.Schedule) string {
	if s.NextRun.IsZero() {
		return "none"
	}
	return inZone(s, s.NextRun)
}

// runWords describes the result of a run on one line.
func runWords(r control.ScheduleRun) string {
	text := r.Result
	if r.Result == schedule.ResultMade || r.Result == schedule.ResultFailed && r.Calls > 0 {
		text += ": " + say.Count(r.Calls, "call")
	}
	over := ""
	if r.PassedOver > 0 {
		over = fmt.Sprintf("%s passed over (%s held)", say.Thousands(r.PassedOver), say.Count(r.ChainsHeld, "chain"))
	}
	rows := func(n int, what string) string { return say.Some(n, say.Word(n, "row ", "rows ")+what) }
	text = say.List(text, over, rows(r.Rejected, "rejected"), rows(r.Conflicts, "in conflict"), rows(r.Withheld-r.PassedOver, "withheld behind them"))
	if r.BatchStatus != nil {
		text += "; " + counts(*r.BatchStatus)
		switch {
		case r.BatchStatus.Unread > 0:
			text += ", and what can't be read now"
		case !r.BatchStatus.Settled:
			text += ", not settled"
		}
	}
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	if r.MissedTicks > 0 {
		text += "; " + say.Count(r.MissedTicks, "tick") + " missed"
	}
	return text
}

// scheduleNames returns names of schedules, for completion.
func scheduleNames(ctx context.Context, s *session) (names []string) {
	all, _, _ := schedule.NewStore(s.rdb, prefix).All(ctx) // those that could be read
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names
}

func (a *app) scheduleShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "One schedule with its next run and its last 20 runs",
		Long: `One schedule with its next run and its last 20 runs: the batch of each, what became of it,
and what was passed over. Times are in the schedule's own zone.`,
		Example: `  enqueue schedule show nightly
  enqueue schedule show nightly --json | jq -r '.runs[0].batch'`,
	}
	a.jsonFlag(cmd, "one JSON object")
	return a.onRedis(cmd, redisconn.Reader, 0, func(ctx context.Context, s *session, args []string) error {
		sch, err := s.control.Schedule(ctx, args[0])
		return a.give(sch, err, func() { a.printSchedule(sch) })
	})
}

func (a *app) printSchedule(s control.Schedule) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(a.out, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("schedule", "%s", s.Name)
	line("status", "%s", s.Status)
	line("cron", "%s in %s", s.Cron, s.Timezone)
	line("rows", "%s of %s", say.Thousands(s.Rows), s.Source)
	line("on failure", "%s", s.OnFailure)
	line("missed runs", "%s", s.Missed)
	line("overlap", "%s", yesNo(s.Overlap))
	line("pile up", "%s", yesNo(s.PileUp))
	if s.Status == "paused" {
		line("next run", "none while it is paused: enqueue schedule resume %s", say.Quote(s.Name))
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
	t := a.newTable(table.Row{"tick", "batch", "result"})
	if s.Current != nil {
		t.AppendRow(table.Row{inZone(s, s.Current.Tick), s.Current.Batch, runWords(*s.Current)})
	}
	held := false
	for _, r := range s.Runs {
		t.AppendRow(table.Row{inZone(s, r.Tick), r.Batch, runWords(r)})
		held = held || r.PassedOver > 0
	}
	t.Render()
	if held {
		fmt.Fprintln(a.out, "\npassed over: chain held. What these wait for: enqueue chains --held")
	}
}
