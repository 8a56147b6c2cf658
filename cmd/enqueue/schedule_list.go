package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/schedule"
)

func (a *app) scheduleList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "All schedules, each with its next and its last run",
		Long:  "All schedules, each with its next and its last run. Times are of the schedule's own zone.",
		Example: `  enqueue schedule list
  enqueue schedule list --json | jq -r 'select(.status == "paused") | .schedule'`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			all, unread := s.op.Schedules(cmd.Context())
			if unread != nil && control.Unread(unread) == 0 {
				return unread
			}
			t := a.table("schedule", "status", "cron", "timezone", "rows", "next run", "last run", "result")
			err = listRows(a, all, asJSON, t, "there is no schedule: `enqueue schedule add --help` says how to add one", func(sch control.Schedule) table.Row {
				last, result := "", ""
				if len(sch.Runs) > 0 {
					last, result = inZone(sch, sch.Runs[0].Tick), runWords(sch.Runs[0])
				}
				return table.Row{sch.Name, sch.Status, sch.Cron, sch.Timezone, sch.Rows, inZone(sch, sch.NextRun), last, result}
			})
			return errors.Join(err, unread)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a schedule")
	return cmd
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
	switch {
	case r.Result == schedule.ResultMade || r.Result == schedule.ResultFailed && r.Calls > 0:
		text += ": " + count(r.Calls, "call")
	}
	if r.PassedOver > 0 {
		text += fmt.Sprintf(", %s passed over (%s held)", thousands(r.PassedOver), count(r.ChainsHeld, "chain"))
	}
	if r.Rejected > 0 {
		text += ", " + count(r.Rejected, "row") + " rejected"
	}
	if r.Conflicts > 0 {
		text += ", " + count(r.Conflicts, "row") + " in conflict"
	}
	if behind := r.Withheld - r.PassedOver; behind > 0 {
		text += ", " + count(behind, "row") + " withheld behind them"
	}
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
		text += "; " + count(r.MissedTicks, "tick") + " missed"
	}
	return text
}

// completeSchedule completes the names of schedules, where Redis answers soon.
func (a *app) completeSchedule(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	const done = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 {
		return nil, done
	}
	return a.namesIn(cmd, func(ctx context.Context, rdb redis.UniversalClient, _ config.Settings) (names []string) {
		all, _, _ := schedule.NewStore(rdb, prefix).All(ctx) // those that could be read
		for _, s := range all {
			names = append(names, s.Name)
		}
		return names
	}), done
}

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
			sch, unread := s.op.Schedule(cmd.Context(), args[0])
			if unread != nil && control.Unread(unread) == 0 {
				return unread
			}
			if asJSON {
				return errors.Join(writeJSON(a.out, sch), unread)
			}
			a.printSchedule(sch)
			return unread
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

// listScheduled lists the calls that are not due yet.
func listScheduled(ctx context.Context, w io.Writer, s *session, asJSON bool) error {
	n := 0
	for c, err := range s.op.Scheduled(ctx) {
		if err != nil {
			return err
		}
		n++
		if asJSON {
			err = writeJSON(w, c)
		} else {
			_, err = fmt.Fprintf(w, "%s  %s  server %s  chain %s\n", local(c.DueAt, s.set.Timezone), c.ID, c.Server, c.Chain)
		}
		if err != nil {
			return err
		}
	}
	if n == 0 && !asJSON {
		fmt.Fprintln(w, "no call is scheduled")
	}
	return nil
}

// tellScheduled says how many calls are not due yet, if there are any.
func tellScheduled(ctx context.Context, w io.Writer, s *session) error {
	n, next, err := s.op.CountScheduled(ctx)
	if err != nil || n == 0 {
		return err
	}
	_, err = fmt.Fprintf(w, "%s scheduled, the first for %s: enqueue chains --scheduled\n", count(n, "call"), local(next, s.set.Timezone))
	return err
}
