package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/redisconn"
	"habilita/internal/rows"
	"habilita/internal/say"
	"habilita/internal/schedule"
	"habilita/internal/vault"
)

// scheduleFlags holds the flags of schedule add.
type scheduleFlags struct {
	fileFlags
	def             schedule.Definition
	file            string
	replace, dryRun bool
}

const scheduleAddHelp = `Keep the rows of a file, sealed, in Redis, and enqueue them at each tick of a cron expression
(minute, hour, day of the month, month, day of the week) in a time zone.

The file is checked as by bulk. A bad row, or an id that stands twice for a token, is left out
and shown as FILE:LINE: FIELD: what is wrong (exit status 3). The rows behind it in its chain
are withheld, except under --on-failure skip. Correct the file and add it again with --replace:
the history stays, and so does every setting that is not given. A schedule does not read the
file again by itself. Meanwhile standard input ("-") is kept in an unnamed file.

Sunday is 0 or 7. If both the day of the month and the day of the week are given, one of them
is enough: '0 2 1 * mon' runs on the first of each month and on every Monday. The command
first shows what the expression means and its next five runs; --dry-run shows them, checks
--file if it is given, and keeps nothing.

When the clocks change, an expression that names its hours has one run for each time that it
names: in the skipped hour, when the clocks go forward; in the doubled hour, the first time.
An expression whose hour is * goes by real time.

--missed says what happens to ticks at which no worker ran: once (one run for all of them) or
skip (none for them, but one for the newest tick if it is at most 5 minutes late).`

func (a *app) scheduleAdd() *cobra.Command {
	var o scheduleFlags
	cmd := &cobra.Command{
		Use:   "add NAME --cron EXPRESSION --file FILE",
		Short: "Enqueue the rows of a file again and again",
		Long:  scheduleAddHelp,
		Example: `  enqueue schedule add nightly --cron '0 2 * * *' --timezone America/Bogota --file operations.csv
  enqueue schedule add nightly --cron '0 2 1 * mon' --dry-run
  enqueue schedule add nightly --file corrected.csv --replace
  enqueue schedule add hourly --cron @hourly --timezone UTC --file operations.jsonl --missed skip --on-failure skip`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.def.Name = args[0]
			return a.runScheduleAdd(cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.def.Cron, "cron", "", "when: five fields such as '0 2 * * *', or @daily and the like (required without --replace)")
	f.StringVar(&o.def.Timezone, "timezone", "", "zone of the cron expression, such as America/Bogota (default: QUOTA_TIMEZONE)")
	f.StringVar(&o.file, "file", "", "the rows, in CSV or JSON Lines; - is standard input (required)")
	choice(cmd, &o.def.Missed, "missed", "once or skip: what happens to ticks that passed while no worker ran", schedule.Once, schedule.Skip)
	f.BoolVar(&o.def.Overlap, "overlap", false, "make a run even if the last one has not settled")
	f.BoolVar(&o.def.PileUp, "pile-up", false, "enqueue calls behind held chains too")
	f.BoolVar(&o.replace, "replace", false, "replace the schedule of that name, and keep those of its settings that are not given")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what --cron means and the next runs, and check the file if there is one; keeps nothing, and needs Redis only with --replace")
	o.fileFlags.bind(cmd)
	a.jsonFlag(cmd, "one JSON object, as of schedule show --json, with rejected, conflicts and withheld")
	config.Bind(f, producing)
	return cmd
}

func (a *app) runScheduleAdd(cmd *cobra.Command, o scheduleFlags) error {
	switch {
	case o.def.Cron == "" && !o.replace:
		return usagef("--cron is missing: say when, such as --cron '0 2 * * *'")
	case o.file == "" && !o.dryRun:
		return usagef("--file is missing: give a file in CSV or JSON Lines")
	}
	role, groups := redisconn.Operator, producing|config.Redis
	if o.dryRun {
		role, groups = redisconn.Reader, config.Limits
	}
	set, err := config.Load(cmd.Flags(), a.getenv, groups)
	if err != nil {
		return err
	}
	if o.def.Source = "standard input"; o.file != "-" {
		o.def.Source = filepath.Base(o.file)
	}
	o.def.OnFailure, o.def.Timezone = o.onFailure, cmp.Or(o.def.Timezone, set.Quota.Location.String())
	var s *session
	if o.replace {
		if s, err = a.open(cmd, role, groups); err != nil {
			return err
		}
		defer s.close()
		if err := o.keep(cmd, s); err != nil {
			return err
		}
	}
	table, err := o.def.Check()
	if err != nil {
		return usagef("%v", err)
	}
	if o.file == "" { // --dry-run of the expression alone
		return a.drySchedule(o, table, nil)
	}
	ctx := cmd.Context()
	r, err := a.openRows(cmd, o.file, o.fileFlags)
	if err != nil {
		return err
	}
	defer r.in.close()
	r.whole = true
	if err := r.in.keep(); err != nil {
		return err
	}
	if o.dryRun {
		_, sum, err := r.checkRows(ctx, o.def.Name)
		if err != nil {
			return err
		}
		return cmp.Or(a.drySchedule(o, table, &sum), r.without(sum, "correct the file before you add it"))
	}
	if s == nil {
		if s, err = a.open(cmd, role, groups); err != nil {
			return err
		}
		defer s.close()
	}
	now, err := s.rdb.Time(ctx).Result()
	if err != nil {
		return err
	}
	tellRuns(r.told(), table, now)
	store := schedule.NewStore(s.rdb, prefix)
	exists := usagef("there is a schedule %q: --replace puts this one in its place (`enqueue schedule show %s` shows it)", o.def.Name, o.def.Name)
	if _, err := store.Get(ctx, o.def.Name); err == nil && !o.replace {
		return exists
	} else if err != nil && !errors.Is(err, schedule.ErrNoSchedule) {
		return err
	}
	writer, sum, err := r.keepRows(ctx, s, store, o.def.Name)
	if err != nil {
		return err
	}
	if sum.Enqueued == 0 {
		return fmt.Errorf("%s has no row that can be a call: nothing was added", r.in.name)
	}
	err = s.control.AddSchedule(ctx, o.def, writer.Rows(), writer.Revision(), o.replace)
	if errors.Is(err, schedule.ErrExists) {
		return exists
	}
	if err != nil {
		return err
	}
	return r.added(ctx, s, o, sum)
}

// keep takes the settings that were not given from the schedule that is replaced.
func (o *scheduleFlags) keep(cmd *cobra.Command, s *session) error {
	have, err := schedule.NewStore(s.rdb, prefix).Get(cmd.Context(), o.def.Name)
	switch {
	case errors.Is(err, schedule.ErrNoSchedule) && o.def.Cron == "":
		return usagef("there is no schedule %q to replace: --cron says when a new one runs, such as --cron '0 2 * * *'", o.def.Name)
	case errors.Is(err, schedule.ErrNoSchedule):
		return nil
	case err != nil:
		return err
	}
	for flag, restore := range map[string]func(){
		"cron":       func() { o.def.Cron = have.Cron },
		"timezone":   func() { o.def.Timezone = have.Timezone },
		"on-failure": func() { o.def.OnFailure, o.onFailure = have.OnFailure, have.OnFailure },
		"missed":     func() { o.def.Missed = have.Missed },
		"overlap":    func() { o.def.Overlap = have.Overlap },
		"pile-up":    func() { o.def.PileUp = have.PileUp },
	} {
		if !cmd.Flags().Changed(flag) {
			restore()
		}
	}
	return nil
}

// shownRuns is how many runs a schedule shows before it is kept.
const shownRuns = 5

// tellRuns says what an expression means, and when it runs next.
func tellRuns(w io.Writer, t *schedule.Timetable, now time.Time) {
	fmt.Fprintf(w, "cron         %s: %s, in %s\n", t.Expr, t.Words(), t.Zone)
	word := "next runs"
	for _, run := range t.NextRuns(now, shownRuns) {
		fmt.Fprintf(w, "%-12s %s\n", word, run.Format("Mon 2006-01-02 15:04:05 -07"))
		word = ""
	}
}

// drySchedule ends --dry-run. sum counts the file's rows; it is nil without a file.
func (a *app) drySchedule(o scheduleFlags, t *schedule.Timetable, sum *engine.Summary) error {
	now := time.Now()
	var runs []control.Time
	for _, run := range t.NextRuns(now, shownRuns) {
		runs = append(runs, control.Time{Time: run})
	}
	out := map[string]any{
		"schedule": o.def.Name, "cron": t.Expr, "timezone": t.Zone.String(), "means": t.Words(), "next_runs": runs, "dry_run": true,
	}
	if sum != nil {
		out["rows"], out["conflicts"], out["withheld"], out["rejected"] = sum.Enqueued, sum.Conflicts, sum.Withheld, sum.Rejected
	}
	return a.give(out, nil, func() {
		tellRuns(a.out, t, now)
		if sum != nil {
			fmt.Fprintf(a.out, "rows         %s\n", say.Thousands(sum.Enqueued))
		}
		fmt.Fprintln(a.out, "nothing was added")
	})
}

// checkRows reports what is wrong with the input's rows. left has the lines of valid rows that are
// left out.
func (r *rowsRun) checkRows(ctx context.Context, name string) (left map[int]struct{}, sum engine.Summary, err error) {
	left = map[int]struct{}{}
	o := r.options(rowsChecked)
	o.OnLeftOut = func(err error) error {
		line, _, _ := engine.LeftOutRow(err)
		left[line] = struct{}{}
		return r.leftOut(err)
	}
	sum, err = engine.Preview(ctx, name, r.calls(), o)
	r.meter.Stop()
	r.in.tellBadText(r.err)
	return left, sum, errors.Join(err, r.rejects.Close())
}

// keepRows writes the input's rows under a revision of the schedule. It reads them twice, because
// it does not keep a row that bulk would withhold behind a bad one. If it is cut off, nothing was
// added, and what was written expires.
func (r *rowsRun) keepRows(ctx context.Context, s *session, store *schedule.Store, name string) (*schedule.Writer, engine.Summary, error) {
	var sum engine.Summary
	// A producer fails if these keys are not those of the workers.
	p, err := engine.NewProducer(ctx, s.rdb, s.set.Options)
	if err != nil {
		return nil, sum, err
	}
	defer func() { _ = p.Close() }()
	keys, err := vault.ParseKeys(s.set.Keys)
	if err != nil {
		return nil, sum, err
	}
	left, sum, err := r.checkRows(ctx, name)
	w := store.NewWriter(name, keys)
	if err == nil {
		err = r.keepTaken(ctx, w, left)
	}
	if err == nil && w.Rows() != sum.Enqueued {
		err = fmt.Errorf("%s was edited while it was read twice: nothing was added", r.in.name)
	}
	return w, sum, err
}

// keepTaken reads the input again, and writes what was not left out.
func (r *rowsRun) keepTaken(ctx context.Context, w *schedule.Writer, left map[int]struct{}) error {
	if err := r.in.again(); err != nil {
		return err
	}
	for row, err := range r.in.rows() {
		if ctx.Err() != nil {
			return ctx.Err() // the input may have ended because of it
		}
		if _, bad := errors.AsType[*rows.RowError](err); err != nil && !bad {
			return err
		}
		c, err := engine.CallOfRow(row, err)
		if _, is := left[row.Line]; is || err != nil || c.Check() != nil {
			continue
		}
		if err := w.Add(ctx, row); err != nil {
			return err
		}
	}
	return errors.Join(ctx.Err(), w.Close(ctx))
}

// added says what was added.
func (r *rowsRun) added(ctx context.Context, s *session, o scheduleFlags, sum engine.Summary) error {
	sch, err := s.control.Schedule(ctx, o.def.Name)
	if err != nil {
		return err
	}
	out := struct {
		control.Schedule
		Conflicts int `json:"conflicts"`
		Withheld  int `json:"withheld"`
		Rejected  int `json:"rejected"`
	}{sch, sum.Conflicts, sum.Withheld, sum.Rejected}
	err = r.give(out, nil, func() {
		r.printSchedule(sch)
		fmt.Fprintf(r.out, "follow       enqueue schedule show %s\n", say.Quote(sch.Name))
	})
	return cmp.Or(err, r.without(sum, "correct the file, and add it again with --replace"))
}

// without says which rows the runs leave out, and what to do. The error is errPartial if there are any.
func (r *rowsRun) without(sum engine.Summary, then string) error {
	if sum.Complete() {
		return nil
	}
	r.tellUnplaced(sum)
	what := say.List(say.Some(sum.Rejected, "rejected"), say.Some(sum.Conflicts, "in conflict"), say.Some(sum.Withheld, "withheld behind them"))
	fmt.Fprintf(r.err, "%s left out of the runs%s: %s; %s\n", say.Plural(sum.Rows-sum.Enqueued, "row was", "rows were"), r.kept(), what, then)
	return errPartial
}
