package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/say"
	"habilita/internal/testkit/wolkvoxtest"
)

// defaultSeed draws each of the demo's faults at least once for the example.
const defaultSeed = 3

// demo is one run of `worker demo`.
type demo struct {
	out, err io.Writer // err is safe for concurrent use
	drawn    io.Writer // the terminal to draw progress on; nil: plain lines to err
	settings config.Settings

	serve bool
	file  string // "": the example
	seed  uint64

	// judge reads the vendor's account.
	judge func(a wolkvoxtest.Account, chains [][]string) wolkvoxtest.Summary
}

// brokenError says that the vendor's account shows broken promises: exit status 1.
type brokenError struct{ promises []string }

func (e *brokenError) Error() string {
	return "the vendor's account breaks a promise: " + strings.Join(e.promises, "; ")
}

func demoCommand(e env) *cobra.Command {
	d := newDemo(e)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it work, with nothing installed: a Redis and a wolkvox inside this process",
		Long: `demo shows habilita at work: it enqueues a file of operations and makes its calls, with a Redis
and a simulated wolkvox inside this process. Nothing leaves the machine, and nothing is kept. At
the end it shows the results, what waits for a person or for tomorrow, and the simulated
vendor's own account of what it was asked.

The simulated wolkvox is strict about its limits, and fails now and then; --seed chooses when.
It takes every token, but refuses those that begin with ` + badPrefix + ` and lets only ` + fmt.Sprint(usedLeft) + `
more requests pass today of those that begin with ` + usedPrefix + `.

Exit status: 0, or 1 if the account breaks a promise.`,
		Example: `  worker demo                    # examples/operations.csv
  worker demo --seed 7           # other faults
  worker demo --file mine.csv    # a file of yours; its tokens stay on this machine
  worker demo --serve            # and stay up, for the pages and for enqueue`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := config.Load(cmd.Flags(), e.getenv, config.Logging|config.Pages)
			if err != nil {
				return usageError{err}
			}
			if e.getenv("LOG_LEVEL") == "" && !cmd.Flags().Changed("log-level") {
				s.LogLevel = zerolog.ErrorLevel // the rest is told in words
			}
			d.settings = s
			return d.run(cmd.Context())
		},
	}
	config.Bind(cmd.Flags(), config.Logging|config.Pages)
	cmd.Flags().BoolVar(&d.serve, "serve", false, "stay up until Ctrl-C, with the pages at LISTEN")
	cmd.Flags().StringVar(&d.file, "file", "", "a CSV or JSON Lines `path` in place of the example")
	cmd.Flags().Uint64Var(&d.seed, "seed", defaultSeed, "draws the faults: the same seed, the same faults")
	return cmd
}

func newDemo(e env) *demo {
	d := &demo{out: e.out, err: zerolog.SyncWriter(e.err), judge: wolkvoxtest.Account.Summarize}
	if say.OnTerminal(e.err) {
		d.drawn = e.err
	}
	return d
}

func (d *demo) run(ctx context.Context) (err error) {
	plan, err := d.read()
	if err != nil {
		return err
	}
	w, err := openDemoWorld(ctx, plan, d.seed, config.Logger(d.settings, d.err, d.drawn != nil))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if d.serve {
		guard, err := newGuard(d.settings, w.log)
		if err != nil {
			return err
		}
		w.metrics.MustRegister(guard)
		settings := d.settings
		settings.Options, settings.RedisURL = w.options, w.Redis.URL()
		stop, err := openSite(ctx, settings, site{worker: w.Worker, metrics: w.metrics, guard: guard}, w.log)
		if err != nil {
			return err
		}
		defer stop()
	}
	d.introduce(plan, w)
	left, err := w.enqueue(ctx, plan)
	if err != nil {
		return err
	}
	if left > 0 {
		fmt.Fprintf(d.out, "Left out, since an id stands twice in the file: %s.\n", say.Count(left, "row"))
	}
	w.start(ctx)
	state, err := d.follow(ctx, w)
	if err != nil {
		return err
	}
	if err := d.tell(ctx, plan, w, state); err != nil {
		return err
	}
	if !d.serve {
		return nil
	}
	d.invite(w)
	return w.wait(ctx)
}

// tell prints the results and judges the account.
func (d *demo) tell(ctx context.Context, plan *demoPlan, w *demoWorld, state demoState) error {
	report, err := w.report(ctx)
	if err != nil {
		return err
	}
	account, err := w.account(ctx)
	if err != nil {
		return err
	}
	summary := d.judge(account, plan.chains(report))
	broken := append(summary.Broken(), lost(plan, report, account)...)

	all, names := operations(plan, report, state), map[string]string{}
	for _, o := range all {
		names[o.tokenID] = o.name
	}
	d.printResults(all, state)
	d.printHeld(names, state)
	d.printTomorrow(names, state, w.zone)
	if err := d.printAccount(account, summary); err != nil {
		return err
	}
	if len(broken) > 0 {
		return &brokenError{broken}
	}
	fmt.Fprintln(d.out, "\nEvery promise was kept: in order, inside the limits, and nothing lost.")
	return nil
}

// introduce says what is about to happen.
func (d *demo) introduce(plan *demoPlan, w *demoWorld) {
	fmt.Fprintf(d.out, `habilita demo: a Redis and a simulated wolkvox inside this process. Nothing leaves this
machine, and nothing is kept.

%s of %s on %s, from %s.
The calls of a chain are made one after the other, each when the one before it succeeded;
a token never has more than %d requests in flight. The vendor works %d to %d ms on a request,
and about one call in %d meets a fault that passes: it is tried again.
The faults come from --seed %d.
`,
		say.Count(len(plan.calls), "call"), say.Count(plan.tokens(), "operation"), say.Count(plan.servers(), "server"), plan.source,
		wolkvoxtest.SlotLimit, demoLatency.Milliseconds(), (demoLatency + demoJitter).Milliseconds(), demoFaultEvery, d.seed)
	if n := len(plan.rejected); n > 0 {
		fmt.Fprintf(d.out, "Left out of the file: %s, as said on stderr.\n", say.Count(n, "row"))
	}
}

// invite says what can be done while the demo stays up.
func (d *demo) invite(w *demoWorld) {
	fmt.Fprintln(d.out, "\nStill up until Ctrl-C:")
	if l := d.settings.Listen; l != "" {
		fmt.Fprintf(d.out, "  http://%s/                    the console, for a browser\n", l)
		fmt.Fprintf(d.out, "  http://%s/healthz  /readyz  /metrics\n", l)
	}
	fmt.Fprintf(d.out, `  In another terminal, on this demo's Redis:
    export REDIS_URL=%s
    go run ./cmd/enqueue status %s
    go run ./cmd/enqueue chains --held
`, w.Redis.URL(), demoBatch)
}
