package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/spf13/cobra"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/membership"
	"habilita/internal/say"
)

// timing are the flags that call and bulk share: when to begin, and whether to wait.
type timing struct {
	at      string
	in      time.Duration
	wait    bool
	timeout time.Duration
}

func (t *timing) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&t.at, "at", "", "not before this time (RFC 3339, such as 2026-11-24T02:00:00-05:00); one that has passed is now")
	f.DurationVar(&t.in, "in", 0, "not before this time has passed, such as 10m")
	f.BoolVar(&t.wait, "wait", false, "wait until nothing more happens without a person")
	f.DurationVar(&t.timeout, "wait-timeout", 0, "wait at most this long (0: as long as it takes)")
}

// check judges the flags together, and returns the time of --at (zero: none).
func (t *timing) check(cmd *cobra.Command) (time.Time, error) {
	set := cmd.Flags().Changed
	switch {
	case set("at") && set("in"):
		return time.Time{}, usagef("--at and --in can't both be given")
	case t.in < 0:
		return time.Time{}, usagef("--in %s: want a duration that is not negative", t.in)
	case t.in > engine.MaxAhead:
		return time.Time{}, usagef("--in %s: is more than ten years ahead", t.in)
	case t.timeout < 0:
		return time.Time{}, usagef("--wait-timeout %s: want a duration that is not negative", t.timeout)
	case set("wait-timeout") && !t.wait:
		return time.Time{}, usagef("--wait-timeout needs --wait")
	case set("at"):
		at, err := time.Parse(time.RFC3339, t.at)
		if err != nil {
			return time.Time{}, usagef("--at %q: want a time as RFC 3339 has it, such as 2026-11-24T02:00:00-05:00", t.at)
		}
		if engine.TooFar(at) {
			return time.Time{}, usagef("--at %s: is more than ten years ahead", t.at)
		}
		return at, nil
	}
	return time.Time{}, nil
}

// from is the time not to begin before, by the clock of Redis: this machine's may be off.
// --in counts from now. Zero is now; an --at that has passed is that too, and is told.
func (a *app) from(ctx context.Context, s *session, t timing, at time.Time) (time.Time, error) {
	if t.in <= 0 && at.IsZero() {
		return at, nil
	}
	now, err := s.rdb.Time(ctx).Result()
	switch {
	case err != nil:
		return time.Time{}, err
	case t.in > 0:
		return now.Add(t.in).Truncate(time.Millisecond).In(a.zone), nil
	case at.After(now):
		return at, nil
	}
	fmt.Fprintf(a.err, "--at %s has passed: not put off\n", t.at)
	return time.Time{}, nil
}

// settle waits for a batch, showing its progress on the error output. It says itself
// why the wait ended early; the error is then errPartial or errTold.
func (a *app) settle(ctx context.Context, op *control.Control, batch, mode string, timeout time.Duration) (control.Status, error) {
	m, err := a.newMeter(mode, progress.UnitsDefault)
	if err != nil {
		return control.Status{}, err
	}
	st, err := op.WaitProgress(ctx, batch, 0, timeout, func(p control.Progress) {
		m.Update(int64(p.Ended()), int64(p.Total), a.progressOf(p))
	})
	m.Stop()
	if err != nil {
		return st, a.waitEnded(ctx, err, timeout, "enqueue watch "+say.Quote(batch))
	}
	if !st.AllSucceeded() {
		return st, errPartial
	}
	return st, nil
}

// newMeter makes the meter of --progress.
func (a *app) newMeter(mode string, units progress.Units) (*say.Meter, error) {
	const every = 3 * time.Second
	switch {
	case mode == "auto" && say.OnTerminal(a.err):
		return say.Bar(a.err, units), nil
	case mode == "auto", mode == "plain":
		return say.Lines(a.err, every, every), nil
	case mode == "none":
		return say.Silent(a.err), nil
	}
	return nil, usagef("--progress %q is not one of auto, plain, none", mode)
}

// waitEnded says why a wait ended before what it waited for came.
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

// tellNoWorker says that nobody makes the calls, as far as that can be read.
func (a *app) tellNoWorker(ctx context.Context, s *session) {
	all, err := membership.New(s.rdb, prefix).Alive(ctx)
	if err == nil && !slices.ContainsFunc(all, func(p membership.Process) bool { return p.Kind == "worker" }) {
		fmt.Fprintln(a.told(), "no worker is running: the calls wait until you start one with: worker")
	}
}
