package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"habilita/examples"
	"habilita/internal/config"
	"habilita/internal/engine"
	"habilita/internal/localrun"
	"habilita/internal/meter"
	"habilita/internal/rows"
	"habilita/internal/say"
	"habilita/internal/testkit/wolkvoxtest"
)

// defaultSeed draws each of the demo's faults at least once for the example.
const defaultSeed = 3

// demoBatch is the name of the demo's batch.
const demoBatch = "demo"

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
			d.settings = s
			return d.run(cmd.Context())
		},
	}
	config.Bind(cmd.Flags(), config.Logging|config.Pages)
	cmd.Flags().Lookup("log-level").DefValue = "error" // the rest is told in words
	cmd.Flags().BoolVar(&d.serve, "serve", false, "stay up until Ctrl-C, with the pages at LISTEN")
	cmd.Flags().StringVar(&d.file, "file", "", "a CSV or JSON Lines `path` in place of the example")
	cmd.Flags().Uint64Var(&d.seed, "seed", defaultSeed, "draws the faults: the same seed, the same faults")
	return cmd
}

func newDemo(e env) *demo {
	d := &demo{out: e.out, err: zerolog.SyncWriter(e.err), judge: wolkvoxtest.Account.Summarize}
	if meter.OnTerminal(e.err) {
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
		guard, err := newGuard(d.settings, w.options.Log)
		if err != nil {
			return err
		}
		w.metrics.MustRegister(guard)
		settings := d.settings
		settings.Options, settings.RedisURL = w.options.Options, w.Redis.URL()
		stop, err := openSite(ctx, settings, site{worker: w.Worker, metrics: w.metrics, guard: guard}, w.options.Log)
		if err != nil {
			return err
		}
		defer stop()
	}
	d.introduce(plan)
	if err := d.enqueue(ctx, plan, w); err != nil {
		return err
	}
	// The worker goes on until all is told, or with --serve until ctx ends.
	working, stop := context.WithCancel(ctx)
	defer stop()
	both, working := errgroup.WithContext(working)
	both.Go(func() error { return w.Run(working) })
	both.Go(func() error {
		defer stop()
		state, err := d.follow(working, w)
		if err != nil {
			return err
		}
		if err := d.tell(working, plan, w, state); err != nil || !d.serve {
			return err
		}
		d.invite(w)
		<-working.Done()
		return nil
	})
	return both.Wait()
}

// follow shows progress until nothing more can run today.
func (d *demo) follow(ctx context.Context, w *demoWorld) (localrun.State, error) {
	show := meter.Lines(d.err, 0, time.Second)
	if d.drawn != nil {
		show = meter.Bar(d.drawn, progress.UnitsDefault)
	}
	defer show.Stop()
	s, err := w.Follow(ctx, demoBatch, true, func(s localrun.State) {
		show.Update(int64(s.Ended()), int64(s.Total), progressLine(s))
	})
	if ctx.Err() != nil {
		return s, fmt.Errorf("stopped with %d of %s done; nothing of the demo is kept", s.Ended(), say.Count(s.Total, "call"))
	}
	if err == nil {
		show.Log(progressLine(s))
	}
	return s, err
}

func progressLine(s localrun.State) string {
	return say.List(fmt.Sprintf("%d of %s succeeded", s.Succeeded, say.Count(s.Total, "call")),
		say.Some(s.HeldChains, "held"), say.Some(len(s.Tomorrow), "for tomorrow"))
}

// introduce says what is about to happen.
func (d *demo) introduce(plan *demoPlan) {
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
	if plan.rejected > 0 {
		fmt.Fprintf(d.out, "Left out of the file: %s, as said on stderr.\n", say.Count(plan.rejected, "row"))
	}
}

// invite says what can be done while the demo stays up.
func (d *demo) invite(w *demoWorld) {
	fmt.Fprintln(d.out, "\nStill up until Ctrl-C:")
	if l := d.settings.Listen; l != "" {
		fmt.Fprintf(d.out, "  http://%s/                    the console, for a browser\n", l)
		fmt.Fprintf(d.out, "  http://%s/healthz  /readyz  /metrics\n", l)
	}
	url, _, _ := strings.Cut(w.Redis.URL(), "?")
	fmt.Fprintf(d.out, `  In another terminal, on this demo's Redis:
    export REDIS_URL=%s
    go run ./cmd/enqueue status %s
    go run ./cmd/enqueue chains --held
`, url, demoBatch)
}

// demoPlan is what a file asks for.
type demoPlan struct {
	source   string
	calls    []rows.Row // in the file's order
	rejected int        // rows that can't be calls
}

// read reads the file that was asked for, and reports rows that can't be calls.
func (d *demo) read() (*demoPlan, error) {
	var in io.Reader = examples.Operations()
	plan := &demoPlan{source: examples.OperationsName}
	if d.file != "" {
		f, err := os.Open(d.file)
		if err != nil {
			return nil, usageError{fmt.Errorf("--file: %w", err)}
		}
		defer f.Close()
		in, plan.source = f, d.file
	}
	for row, err := range rows.Read(in, plan.source, rows.Auto, rows.UTF8) {
		switch _, bad := errors.AsType[*rows.RowError](err); {
		case err == nil:
			plan.calls = append(plan.calls, row)
		case bad:
			plan.rejected++
			fmt.Fprintln(d.err, err)
		default:
			return nil, err
		}
	}
	if len(plan.calls) == 0 {
		return nil, fmt.Errorf("%s has no row that can be used", plan.source)
	}
	return plan, nil
}

// enqueue enqueues the plan's rows, and removes from the plan those that are left out.
func (d *demo) enqueue(ctx context.Context, plan *demoPlan, w *demoWorld) error {
	left := map[int]bool{}
	_, err := w.Producer.EnqueueBatch(ctx, demoBatch, func(yield func(engine.Call, error) bool) {
		for _, c := range plan.calls {
			if !yield(engine.CallOfRow(c, nil)) {
				return
			}
		}
	}, engine.BatchOptions{OnLeftOut: func(err error) error {
		line, _, _ := engine.LeftOutRow(err)
		left[line] = true
		return nil
	}})
	plan.calls = slices.DeleteFunc(plan.calls, func(c rows.Row) bool { return left[c.Line] })
	if err == nil && len(left) > 0 {
		fmt.Fprintf(d.out, "Left out, since an id stands twice in the file: %s.\n", say.Count(len(left), "row"))
	}
	return err
}

func (p *demoPlan) tokens() int  { return p.distinct(func(c rows.Row) string { return c.Token }) }
func (p *demoPlan) servers() int { return p.distinct(func(c rows.Row) string { return c.Server }) }

func (p *demoPlan) distinct(of func(rows.Row) string) int {
	seen := map[string]bool{}
	for _, c := range p.calls {
		seen[of(c)] = true
	}
	return len(seen)
}

// operationName is the part of a ref before " - ", such as "Soporte Bogotá" in "Soporte Bogotá - módulo chat".
func operationName(ref string) string {
	name, _, _ := strings.Cut(ref, " - ")
	return name
}

// short is a token_id as the table shows it.
func short(tokenID string) string { return tokenID[:min(8, len(tokenID))] }
