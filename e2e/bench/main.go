package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"habilita/e2e"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == vendorCommand {
		os.Exit(runVendor(ctx, os.Args[2:], os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == plainCommand {
		os.Exit(runPlain(ctx, os.Args[2:], os.Stderr))
	}
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// settings are what the command was asked for.
type settings struct {
	only            *regexp.Regexp
	turns           int
	scale           float64
	million, growth bool
	cost            bool
}

// run returns the exit status: 0 measured, 1 a measurement failed, 2 wrong usage. The table
// shows a floor that was not met.
func run(ctx context.Context, args []string, out, errw io.Writer) int {
	s, err := parse(args, errw)
	if err != nil {
		return 2
	}
	_ = os.Setenv("HABILITA_REQUIRE_REDIS", "1") // no row is skipped
	logging.Disable()                            // servers are ended while clients are open
	defer e2e.Remove()
	if s.cost {
		ok := printCosts(s, out, func(what string, f func(r *rig)) bool {
			_, _ = fmt.Fprintf(errw, "%s ...\n", what)
			return ctx.Err() == nil && e2e.Standalone(ctx, what, errw, func(tb testing.TB) { f(newRig(ctx, tb, s, errw)) })
		})
		if !ok {
			return 1
		}
		return 0
	}
	var lines []line
	for _, f := range figures(s) {
		if !s.only.MatchString(f.what) || ctx.Err() != nil {
			continue
		}
		began := time.Now()
		_, _ = fmt.Fprintf(errw, "%s ...\n", f.what)
		l := line{figure: f}
		ok := e2e.Standalone(ctx, f.what, errw, func(tb testing.TB) {
			l.ours, l.theirs = measure(newRig(ctx, tb, s, errw), f, s.turns)
		})
		if !ok {
			return 1
		}
		_, _ = fmt.Fprintf(errw, "  %s (%s)\n", l, time.Since(began).Round(time.Second))
		lines = append(lines, l)
	}
	printTable(out, lines, s)
	return 0
}

// measure takes turns and returns the median of each side; 0: there is no such side.
func measure(r *rig, f figure, turns int) (ours, theirs float64) {
	var all [2][]float64
	for range turns {
		for side, one := range []func(*rig) float64{f.ours, f.theirs} {
			if one == nil {
				continue
			}
			r.reset()
			v := one(r)
			r.endAll()
			all[side] = append(all[side], v)
			r.logf("  turn %d of %d, %s: %s", len(all[side]), turns, sides[side], f.format(v))
		}
	}
	return median(all[0]), median(all[1])
}

var sides = [2]string{"habilita", "against"}

func median[T cmp.Ordered](all []T) T {
	var zero T
	if len(all) == 0 {
		return zero
	}
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

func parse(args []string, errw io.Writer) (settings, error) {
	var s settings
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(errw)
	only := fs.String("only", "", "measure the rows whose name matches this `regexp` (no case)")
	fs.IntVar(&s.turns, "n", 5, "turns; the table has the medians")
	fs.Float64Var(&s.scale, "scale", 1, "size of the loads, for a quick look; the floors are meant for 1")
	fs.BoolVar(&s.million, "million", false, "also take a million calls over 100,000 tokens all the way through")
	fs.BoolVar(&s.growth, "growth", false, "measure instead how the cost grows with the number of calls")
	fs.BoolVar(&s.cost, "cost", false, "measure instead what a call takes of each process, on one Redis and on clusters")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	var err error
	if s.only, err = regexp.Compile("(?i)" + *only); err == nil && (s.turns < 1 || s.scale <= 0 || fs.NArg() > 0) {
		err = fmt.Errorf("-n %d -scale %v %q: want 1 or more, above 0, and no arguments", s.turns, s.scale, fs.Args())
	}
	if err != nil {
		_, _ = fmt.Fprintln(errw, "bench:", err)
	}
	return s, err
}
