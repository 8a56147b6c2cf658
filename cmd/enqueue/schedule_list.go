package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"habilita/internal/control"
	"habilita/internal/redisconn"
	"habilita/internal/say"
	"habilita/internal/schedule"
)

func (a *app) scheduleList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "All schedules, each with its next and its last run",
		Long:  "All schedules, each with its next and its last run. Times are of the schedule's own zone.",
		Example: `  enqueue schedule list
  enqueue schedule list --json | jq -r 'select(.status == "paused") | .schedule'`,
	}
	a.jsonFlag(cmd, "one JSON object a schedule")
	return a.onRedis(cmd, redisconn.Reader, 0, func(ctx context.Context, s *session, _ []string) error {
		all, err := s.op.Schedules(ctx)
		header := table.Row{"schedule", "status", "cron", "timezone", "rows", "next run", "last run", "result"}
		return list(a, all, err, "there is no schedule: `enqueue schedule add --help` says how to add one", header, func(sch control.Schedule) table.Row {
			last, result := "", ""
			if len(sch.Runs) > 0 {
				last, result = inZone(sch, sch.Runs[0].Tick), runWords(sch.Runs[0])
			}
			return table.Row{sch.Name, sch.Status, sch.Cron, sch.Timezone, sch.Rows, inZone(sch, sch.NextRun), last, result}
		})
	})
}

// inZone is a time as people of the schedule's zone read it.
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

// runWords is what came out of a run, on one line.
func runWords(r control.ScheduleRun) string {
	text := r.Result
	if r.Result == schedule.ResultMade || r.Result == schedule.ResultFailed && r.Calls > 0 {
		text += ": " + say.Count(r.Calls, "call")
	}
	over := ""
	if r.PassedOver > 0 {
		over = fmt.Sprintf("%s passed over (%s held)", say.Thousands(r.PassedOver), say.Count(r.ChainsHeld, "chain"))
	}
	rows := func(n int, what string) string {
		if n <= 0 {
			return ""
		}
		return say.Count(n, "row") + " " + what
	}
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

// scheduleNames are names for completion.
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
and what was passed over. Times are of the schedule's own zone.`,
		Example: `  enqueue schedule show nightly
  enqueue schedule show nightly --json | jq -r '.runs[0].batch'`,
		Args:              scheduleName(),
		ValidArgsFunction: a.names(scheduleNames),
	}
	a.jsonFlag(cmd, "one JSON object")
	return a.onRedis(cmd, redisconn.Reader, 0, func(ctx context.Context, s *session, args []string) error {
		sch, err := s.op.Schedule(ctx, args[0])
		switch {
		case err != nil && control.Unread(err) == 0:
			return err
		case a.json:
			return errors.Join(writeJSON(a.out, sch), err)
		}
		a.printSchedule(sch)
		return err
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

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
