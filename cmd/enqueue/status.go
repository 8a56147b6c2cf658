package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/membership"
	"habilita/internal/meter"
	"habilita/internal/redisconn"
	"habilita/internal/say"
)

func (a *app) statusCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status BATCH",
		Short: "Counts of a batch",
		Long: `Counts of a batch: how many calls succeeded, were given up (failed), skipped or
cancelled, and how many are open. A batch is settled when nothing more happens without a
person: every open call stands behind one that was given up. The exit status is 0,
whatever the counts are; it is 1 if a part of them could not be read.`,
		Example: `  enqueue status november
  enqueue status november --json | jq .failed`,
	}
	a.jsonFlag(cmd, "one JSON object")
	return a.onRedis(cmd, redisconn.Reader, 0, func(ctx context.Context, s *session, args []string) error {
		st, err := s.control.Status(ctx, args[0])
		err = a.give(st, err, func() { a.printStatus(st) })
		if !st.Settled && st.Open > 0 {
			a.tellNoWorker(ctx, s)
		}
		return err
	})
}

func (a *app) printStatus(s control.Status) {
	state := "not settled"
	switch {
	case s.Unread > 0:
		state = fmt.Sprintf("these counts lack %s of Redis that can't be read now: nobody can tell whether it is settled", say.Count(s.Unread, "part"))
	case s.PutOff:
		state = "begins at " + a.local(s.DueAt)
	case !s.DueAt.IsZero():
		state = "goes on with calls that were put off at " + a.local(s.DueAt)
	case s.Filling:
		state = "not settled: a producer still adds rows"
	case s.Settled:
		state = "settled at  " + a.local(s.SettledAt)
	}
	if s.CutOff {
		state += "\nincomplete: the last run was cut off or left rows out; give the whole file again"
	}
	fmt.Fprintf(a.out, "batch       %s\ntotal       %d\nsucceeded   %d\nfailed      %d\nskipped     %d\ncancelled   %d\nopen        %d\nheld chains %d\ncreated at  %s\n%s\n",
		s.Batch, s.Total, s.Succeeded, s.Failed, s.Skipped, s.Cancelled, s.Open, s.HeldChains, a.local(s.CreatedAt), state)
	if n := next(s); n != "" {
		fmt.Fprintln(a.out, n)
	}
}

func (a *app) watch() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch BATCH",
		Short: "Live progress of a batch until it is settled",
		Long: `Follow a batch until nothing more happens without a person: in place on a terminal, else with
a line for every change. Ctrl-C ends it too, and changes nothing. The exit status is 0, whatever
the counts are. In a script, use "enqueue bulk --wait".

It shows the counts, the rate (smoothed over about 10 s), the time left at that rate, what chains
wait for and until when, and the last errors. It looks at what waits every 3 s at most. In a big
batch it looks at a sample of the chains, and says "sample"; "enqueue chains" has all.`,
		Example: `  enqueue watch november
  enqueue watch november --json | jq .succeeded
  enqueue watch november --json | jq -c '[.rate, .eta_seconds, .waiting]'`,
	}
	a.jsonFlag(cmd, "a JSON object for every change: status --json, and rate, eta_seconds, waiting, sampled, last_errors")
	return a.onRedis(cmd, redisconn.Reader, config.Limits, func(ctx context.Context, s *session, args []string) error {
		return a.watchBatch(ctx, s, args[0])
	})
}

func (a *app) watchBatch(ctx context.Context, s *session, batch string) error {
	// A batch that does not exist is an error before anything is drawn.
	last, err := s.control.Status(ctx, batch)
	if err != nil {
		return err
	}
	if !last.Settled && last.Open > 0 {
		a.tellNoWorker(ctx, s)
	}
	m := meter.Lines(a.out, 0, 0)
	if meter.OnTerminal(a.out) && !a.json {
		m = meter.Bar(a.out, progress.UnitsDefault)
	}
	last, err = s.control.WaitProgress(ctx, batch, 0, func(p control.Progress) {
		if a.json {
			_ = writeJSON(a.out, p)
			return
		}
		m.Update(int64(p.Ended()), int64(p.Total), a.progressOf(p))
	})
	m.Stop()
	if err != nil && ctx.Err() != nil {
		// To stop watching is not a failure.
		fmt.Fprintf(a.err, "stopped watching; the batch goes on\nfollow: enqueue watch %s\n", say.Quote(batch))
		return nil
	}
	if err != nil || a.json {
		return err
	}
	fmt.Fprintf(a.out, "settled at %s\n", a.local(last.SettledAt))
	if n := next(last); n != "" {
		fmt.Fprintln(a.out, n)
	}
	return nil
}

// progressOf describes the progress of a batch on one line.
func (a *app) progressOf(p control.Progress) string {
	words := counts(p.Status)
	if p.Rate > 0 {
		words += fmt.Sprintf("; %s/s", number(p.Rate))
		if p.ETASeconds != nil && *p.ETASeconds > 0 {
			words += ", " + inWords(spanOf(*p.ETASeconds)) + " to go"
		}
	}
	return words + a.obstacles(p)
}

// obstacles says what chains wait for and why calls last failed, to follow the counts on their line.
func (a *app) obstacles(p control.Progress) string {
	var parts []string
	for _, w := range p.Waiting {
		if w.Reason != "held" { // counts has those
			part := fmt.Sprintf("%s %s", w.Reason, say.Thousands(w.Chains))
			if !w.Until.IsZero() {
				part += " (" + a.until(w.Reason, w.Until) + ")"
			}
			parts = append(parts, part)
		}
	}
	words := ""
	if len(parts) > 0 {
		words = "; waiting"
		if p.Sampled {
			words += " (sample)"
		}
		words += ": " + strings.Join(parts, ", ")
	}
	if len(p.LastErrors) > 0 {
		words += "; last errors: " + strings.Join(p.LastErrors, " | ")
	}
	return words
}

// until says how long chains wait. A token that cools down is tried gently before its cool-down ends.
func (a *app) until(reason string, t control.Time) string {
	if reason == "cooling" {
		return "next try at " + a.local(t)
	}
	return "until " + a.local(t)
}

// number formats a rate with as many digits as are useful.
func number(v float64) string {
	if v >= 10 {
		return say.Thousands(int(math.Round(v)))
	}
	return fmt.Sprintf("%.1f", v)
}

// spanOf converts seconds to a Duration, limited to what a Duration can hold.
func spanOf(s float64) time.Duration {
	return time.Duration(min(s*float64(time.Second), math.MaxInt64/2))
}

// inWords writes a duration to the second, with days if it has any.
func inWords(d time.Duration) string {
	d = d.Round(time.Second)
	days := d / (24 * time.Hour)
	if days == 0 {
		return d.String()
	}
	return fmt.Sprintf("%dd%s", days, d%(24*time.Hour))
}

// timing are the flags that call and bulk share: when to begin, and whether to wait.
type timing struct {
	wait    bool
	timeout time.Duration
}

func (t *timing) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.String("at", "", "begin no call before this time (RFC 3339, such as 2026-11-24T02:00:00-05:00); a time that has passed means now")
	f.Duration("in", 0, "begin no call before this much time has passed, such as 10m")
	f.BoolVar(&t.wait, "wait", false, "wait until nothing more happens without a person")
	f.DurationVar(&t.timeout, "wait-timeout", 0, "wait at most this long (0: as long as it takes)")
}

// check checks the flags together, and returns when to begin.
func (t *timing) check(cmd *cobra.Command) (engine.Start, error) {
	text := func(name string) (string, bool) {
		f := cmd.Flags().Lookup(name)
		return f.Value.String(), f.Changed
	}
	switch {
	case t.timeout < 0:
		return engine.Start{}, usagef("--wait-timeout %s: want a duration that is not negative", t.timeout)
	case cmd.Flags().Changed("wait-timeout") && !t.wait:
		return engine.Start{}, usagef("--wait-timeout needs --wait")
	}
	start, err := engine.ParseStart(text)
	if e, ok := errors.AsType[*engine.StartError](err); ok {
		given, _ := text(e.Field)
		return start, usagef("--%s %q: %s", e.Field, given, e.Problem)
	}
	return start, nil
}

// from returns the time before which nothing begins. It tells the user if --at has passed.
func (a *app) from(ctx context.Context, s *session, start engine.Start) (time.Time, error) {
	now, err := s.rdb.Time(ctx).Result()
	at := start.Time(now.In(a.zone))
	if err == nil && !start.At.IsZero() && !at.After(now) {
		fmt.Fprintf(a.err, "--at %s has passed: not put off\n", start.At.Format(time.RFC3339Nano))
	}
	return at, err
}

// settle waits for a batch, showing its progress on the error output. mine is how many of its calls the file has. It says
// itself why the wait ended early; the error is then errPartial or errTold.
func (a *app) settle(ctx context.Context, op *control.Control, batch, mode string, timeout time.Duration, mine int) (control.Status, error) {
	m := a.newMeter(mode, progress.UnitsDefault)
	st, err := op.WaitProgress(ctx, batch, timeout, func(p control.Progress) {
		m.Update(int64(p.Ended()), int64(p.Total), a.progressOf(p))
	})
	m.Stop()
	if err != nil {
		return st, a.waitEnded(ctx, err, timeout, "enqueue watch "+say.Quote(batch))
	}
	if !allSucceeded(st, mine) {
		return st, errPartial
	}
	return st, nil
}

// allSucceeded reports whether all of a batch's calls did that its file has; others may have been cancelled.
func allSucceeded(s control.Status, mine int) bool {
	return s.Succeeded+min(s.Cancelled, max(0, s.Total-mine)) == s.Total && s.Unread == 0
}

// newMeter makes the meter of --progress.
func (a *app) newMeter(mode string, units progress.Units) *meter.Meter {
	const every = 3 * time.Second
	switch {
	case mode == "none":
		return meter.Silent(a.err)
	case mode == "auto" && meter.OnTerminal(a.err):
		return meter.Bar(a.err, units)
	}
	return meter.Lines(a.err, every, every)
}

// waitEnded says why a wait ended early.
func (a *app) waitEnded(ctx context.Context, err error, timeout time.Duration, follow string) error {
	switch {
	case errors.Is(err, control.ErrNotSettled):
		fmt.Fprintf(a.err, "not settled after %s; what is enqueued goes on\nfollow: %s\n", timeout, follow)
		return errPartial
	case ctx.Err() != nil:
		fmt.Fprintf(a.err, "interrupted; what is enqueued goes on\nfollow: %s\n", follow)
		return errTold
	}
	return err
}

// noWorker reports whether no worker is running; false if that can't be read.
func noWorker(ctx context.Context, s *session) bool {
	all, err := membership.New(s.rdb, prefix).Alive(ctx)
	return err == nil && len(membership.Workers(all)) == 0
}

// tellNoWorker tells the user if no worker is running.
func (a *app) tellNoWorker(ctx context.Context, s *session) {
	if noWorker(ctx, s) {
		fmt.Fprintln(a.told(), "no worker is running: the calls wait until you start one with: worker")
	}
}
