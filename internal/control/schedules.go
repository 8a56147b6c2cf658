package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
)

// Schedule is a recurring bulk run, as `enqueue schedule list --json` gives it.
type Schedule struct {
	schedule.Definition
	Status    string `json:"status"` // waiting, paused, asked (a run was asked for) or enqueueing
	Rows      int    `json:"rows"`
	CreatedAt Time   `json:"created_at"`
	ChangedAt Time   `json:"changed_at"`

	NextRun   Time   `json:"next_run"`   // null while it is paused
	NextBatch string `json:"next_batch"` // its name; also that of a run that was asked for
	// Current is the run that is being enqueued, null for none. Runs are those that are
	// over, the newest first: only the last one in a list, up to 20 if one schedule is shown.
	Current *ScheduleRun  `json:"current"`
	Runs    []ScheduleRun `json:"runs"`
}

// ScheduleRun is a run of a schedule, or a tick for which there was none.
type ScheduleRun struct {
	Batch       string  `json:"batch"`  // "" where there was no run
	Kind        string  `json:"kind"`   // tick, or asked (a person asked for it)
	Tick        Time    `json:"tick"`   // when it was due, or asked for
	Result      string  `json:"result"` // enqueueing, made, skipped, missed or failed
	Reason      string  `json:"reason"`
	StartedAt   Time    `json:"started_at"`
	FinishedAt  Time    `json:"finished_at"`
	Calls       int     `json:"calls"`        // enqueued
	PassedOver  int     `json:"passed_over"`  // calls that were not, since their chain was held
	ChainsHeld  int     `json:"chains_held"`  // the chains of these
	Rejected    int     `json:"rejected"`     // rows that could not be calls any more
	Conflicts   int     `json:"conflicts"`    // rows whose id is known for another call
	Withheld    int     `json:"withheld"`     // those passed over, and those behind a row that was left out
	MissedTicks int     `json:"missed_ticks"` // ticks for which there was no run, this one's among them or before it
	BatchStatus *Status `json:"batch_status"` // null where there is no batch, or its retention is over
}

// OverlapError says that a run was not asked for, since the last one has not settled.
type OverlapError struct{ Schedule, Batch string }

// Error names both and says what to type next.
func (e *OverlapError) Error() string {
	return fmt.Sprintf("the last run of schedule %q, %s, has not settled: `enqueue watch %s` follows it; --overlap runs it all the same",
		e.Schedule, e.Batch, e.Batch)
}

// Schedules returns all schedules in the order in which they were added, each with its
// last run. If Unread(err) > 0, this is what could be read. Like everything here, it needs no
// sealing keys.
func (o *Control) Schedules(ctx context.Context) ([]Schedule, error) {
	all, _, err := o.schedules.All(ctx)
	err = of(err, "list of the schedules")
	if !redisconn.Partly(err) {
		return nil, err
	}
	var unread error
	out := make([]Schedule, 0, len(all))
	for _, s := range all {
		one, err := o.schedule(ctx, s, 1)
		if !redisconn.Partly(err) {
			return nil, err
		}
		unread = cmp.Or(unread, err)
		out = append(out, one)
	}
	return out, errors.Join(err, unread)
}

// Schedule returns one schedule with its last runs, or an *UnknownError. If Unread(err) > 0,
// counts of its runs lack what could not be read.
func (o *Control) Schedule(ctx context.Context, name string) (Schedule, error) {
	s, err := o.schedules.Get(ctx, name)
	if err != nil {
		return Schedule{}, scheduleError(name, err)
	}
	return o.schedule(ctx, s, -1)
}

// PauseSchedule stops a schedule from making runs at its ticks until ResumeSchedule. A run that
// is being enqueued goes on. It returns false if the schedule was paused already.
func (o *Control) PauseSchedule(ctx context.Context, name string) (bool, error) {
	return o.notedSchedule(ctx, "pause", name, o.schedules.Pause)
}

// ResumeSchedule lets a paused schedule go on from its next tick. Ticks that passed
// meanwhile have no run. It reports whether the schedule was paused.
func (o *Control) ResumeSchedule(ctx context.Context, name string) (bool, error) {
	return o.notedSchedule(ctx, "resume", name, o.schedules.Resume)
}

// RunSchedule asks for a run now, paused or not; a worker makes it within seconds. It
// returns the name of the run's batch. If the last run has not settled, and neither
// overlap nor the schedule allows that, the error is an *OverlapError.
func (o *Control) RunSchedule(ctx context.Context, name string, overlap bool) (batchName string, err error) {
	defer func() {
		came := Outcome{}
		if err == nil {
			came.Place = "batch " + batchName
		}
		o.note(ctx, "schedule run", "schedule "+name, came, err)
	}()
	s, err := o.schedules.Get(ctx, name)
	if err != nil {
		return "", scheduleError(name, err)
	}
	if !overlap && !s.Overlap && s.Last != "" {
		last, err := o.Status(ctx, s.Last)
		settled := last.Settled || errors.Is(err, ledger.ErrNoBatch) // its retention is over
		switch {
		case s.Claim.Number > 0, err == nil && !settled:
			return "", &OverlapError{Schedule: name, Batch: s.Last}
		case !settled:
			return "", err
		}
	}
	batchName, err = o.schedules.Ask(ctx, name, overlap)
	return batchName, scheduleError(name, err)
}

// RemoveSchedule removes a schedule with its rows and history. Runs that were enqueued
// stay, as batches. If a run was being enqueued or had been asked for, it gets no more rows,
// and stopped is its batch; otherwise stopped is "".
func (o *Control) RemoveSchedule(ctx context.Context, name string) (stopped string, err error) {
	_, err = o.notedSchedule(ctx, "remove", name, func(ctx context.Context, name string) (_ bool, err error) {
		stopped, err = o.schedules.Remove(ctx, name)
		return true, err
	})
	return stopped, err
}

// notedSchedule calls act for a schedule, and notes it.
func (o *Control) notedSchedule(ctx context.Context, action, name string, act func(context.Context, string) (changed bool, err error)) (bool, error) {
	changed, err := act(ctx, name)
	err = scheduleError(name, err)
	came := Outcome{Ended: EndedDone}
	if !changed {
		came.Ended = EndedUnchanged
	}
	o.note(ctx, "schedule "+action, "schedule "+name, came, err)
	return changed, err
}

func scheduleError(name string, err error) error {
	if errors.Is(err, schedule.ErrNoSchedule) {
		return &UnknownError{schedule.ErrNoSchedule, name}
	}
	return of(err, "schedule %q", name)
}

// schedule turns a state into what people see, with this many of the last runs; -1: all.
func (o *Control) schedule(ctx context.Context, s schedule.State, runs int) (Schedule, error) {
	out := Schedule{
		Definition: s.Definition, Status: "waiting", Rows: s.Rows,
		CreatedAt: Time{Time: s.Created}, ChangedAt: Time{Time: s.Changed}, Runs: []ScheduleRun{},
	}
	if s.Paused {
		out.Status = "paused"
	} else if out.NextRun = (Time{Time: s.Next}); !s.Next.IsZero() {
		if zone, err := time.LoadLocation(s.Timezone); err == nil {
			out.NextBatch = schedule.BatchOfTick(s.Name, s.Next.In(zone))
		}
	}
	if !s.Asked.At.IsZero() {
		out.Status, out.NextBatch = "asked", s.Asked.Batch
	}
	var unread error
	if c := s.Claim; c.Number > 0 {
		out.Status = "enqueueing"
		out.Current = &ScheduleRun{
			Batch: c.Batch, Kind: c.Kind, Tick: Time{Time: c.Tick}, Result: "enqueueing", Reason: c.Error,
			StartedAt: Time{Time: c.Started}, MissedTicks: c.Missed,
		}
		if unread = o.addStatus(ctx, out.Current); !redisconn.Partly(unread) {
			return out, unread
		}
	}
	past, err := o.schedules.Runs(ctx, s.Name)
	if err != nil {
		return out, scheduleError(s.Name, err)
	}
	if runs >= 0 {
		past = past[:min(runs, len(past))]
	}
	for _, r := range past {
		run := ScheduleRun{
			Batch: r.Batch, Kind: r.Kind, Tick: ofMillis(r.Tick), Result: r.Result, Reason: r.Reason,
			StartedAt: ofMillis(r.Started), FinishedAt: ofMillis(r.Finished), Calls: r.Calls,
			PassedOver: r.Passed, ChainsHeld: r.Chains, Rejected: r.Rejected, MissedTicks: r.Missed, Conflicts: r.Conflicts,
			Withheld: max(r.Withheld, r.Passed), // older versions wrote the latter alone
		}
		err := o.addStatus(ctx, &run)
		if !redisconn.Partly(err) {
			return out, err
		}
		unread = cmp.Or(unread, err)
		out.Runs = append(out.Runs, run)
	}
	return out, unread
}

func (o *Control) addStatus(ctx context.Context, r *ScheduleRun) error {
	if r.Batch == "" {
		return nil
	}
	st, err := o.Status(ctx, r.Batch)
	switch {
	case errors.Is(err, ledger.ErrNoBatch):
		return nil
	case redisconn.Partly(err):
		r.BatchStatus = &st
	case ctx.Err() == nil:
		return redisconn.Unreadable(redisconn.Batches, r.Batch, err)
	}
	return err
}

func ofMillis(ms int64) Time { return Time{Time: redisconn.Time(ms)} }
