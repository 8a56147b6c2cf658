package main

import (
	"fmt"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
)

func (a *app) watch() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "watch BATCH",
		Short:   "Live progress of a batch until it is settled",
		GroupID: groupSee,
		Long: `Follow a batch until nothing more happens without a person: in place on a terminal, else with
a line for every change. Ctrl-C ends it too, and changes nothing. The exit status is 0, whatever
the counts are. In a script, use "enqueue bulk --wait".

It tells the counts, the rate (smoothed over some 10 s), the time left at that rate, what chains
wait for and until when, and the last errors. It looks at what waits every 3 s at most. In a big
batch it looks at a sample of the chains, and says "sample"; "enqueue chains" has all.`,
		Example: `  enqueue watch november
  enqueue watch november --json | jq .succeeded
  enqueue watch november --json | jq -c '[.rate, .eta_seconds, .waiting]'`,
		Args: exactly(1, "a batch"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open(cmd, config.Limits)
			if err != nil {
				return err
			}
			defer s.close()
			return a.watchBatch(cmd, s, args[0], asJSON)
		},
	}
	cmd.ValidArgsFunction = a.completeBatch
	config.Bind(cmd.Flags(), config.Limits)
	cmd.Flags().BoolVar(&asJSON, "json", false, "a JSON object for every change: status --json, and rate, eta_seconds, waiting, sampled, last_errors")
	return cmd
}

func (a *app) watchBatch(cmd *cobra.Command, s *session, batch string, asJSON bool) error {
	var m meter = &lines{w: a.out}
	if terminal(a.out) && !asJSON {
		var err error
		if m, err = newMeter("auto", a.out, progress.UnitsDefault); err != nil {
			return err
		}
	}
	// One that does not exist is told before anything is drawn.
	last, err := s.op.Status(cmd.Context(), batch)
	if err != nil {
		return err
	}
	_, err = s.op.WaitProgress(cmd.Context(), batch, 0, 0, func(p control.Progress) {
		last = p.Status
		if asJSON {
			_ = writeJSON(a.out, p)
			return
		}
		m.update(int64(p.Ended()), int64(p.Total), progressOf(p, s.set.Timezone))
	})
	m.stop()
	if err != nil && cmd.Context().Err() != nil {
		// Who looks may stop looking: that is no failure.
		fmt.Fprintf(a.err, "stopped watching; the batch goes on\nfollow: enqueue watch %s\n", quoteArg(batch))
		return nil
	}
	if err != nil {
		return err
	}
	if !asJSON {
		fmt.Fprintf(a.out, "settled at %s\n", last.SettledAt)
		if n := next(last); n != "" {
			fmt.Fprintln(a.out, n)
		}
	}
	return nil
}
