package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"habilita/e2e"
)

// requireEnv, set to 1, makes the command fail if it can't make separate hosts.
const requireEnv = "HABILITA_REQUIRE_HOSTS"

func main() {
	if status, done := e2e.OwnNetwork(); done {
		os.Exit(status)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

type settings struct {
	full     bool
	only     *regexp.Regexp
	seed     uint64
	parallel int
	write    bool // the table into docs/faults.md
	some     bool // not all rows are wanted
}

// run returns the exit status: 0 all promises were kept, 1 they were not, 2 wrong usage.
func run(args []string, out, errw io.Writer) int {
	s, err := parse(args, errw)
	if err != nil {
		return 2
	}
	_ = os.Setenv("HABILITA_REQUIRE_REDIS", "1") // no lab is skipped
	logging.Disable()                            // servers are killed here on purpose
	defer e2e.Remove()
	began := time.Now()
	_, _ = fmt.Fprintf(out, "seed %d (again: -seed %d)\n", s.seed, s.seed)
	if _, err := e2e.Build(); err != nil {
		_, _ = fmt.Fprintln(errw, "chaos:", err)
		return 1
	}
	report := runRows(s, rows(s.full), errw)
	printTable(out, report)
	kept := true
	for _, r := range report {
		kept = kept && r.sum.kept()
	}
	_, _ = fmt.Fprintf(out, "\nseed %d, %d rows in %s: ", s.seed, len(report), time.Since(began).Round(time.Second))
	if !kept {
		_, _ = fmt.Fprintln(out, "PROMISES WERE BROKEN")
		return 1
	}
	_, _ = fmt.Fprintln(out, "every promise was kept")
	if s.write {
		if err := writeDocs(s, report, began); err != nil {
			_, _ = fmt.Fprintln(errw, "chaos:", err)
			return 1
		}
	}
	return 0
}

func parse(args []string, errw io.Writer) (settings, error) {
	s := settings{}
	fs := flag.NewFlagSet("chaos", flag.ContinueOnError)
	fs.SetOutput(errw)
	dose := fs.String("dose", "full", "how much of each fault: full (under an hour) or ci (a few minutes)")
	only := fs.String("only", "", "run the rows whose name matches this regular expression (no case)")
	fs.Uint64Var(&s.seed, "seed", 0, "of all random choices; 0 draws one")
	fs.IntVar(&s.parallel, "parallel", 4, "labs side by side")
	fs.BoolVar(&s.write, "write", false, "write the table into "+docsFile+" when every promise was kept; with -only, behind what is there")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	var err error
	if s.only, err = regexp.Compile("(?i)" + *only); err != nil {
		_, _ = fmt.Fprintln(errw, "chaos: -only:", err)
		return s, err
	}
	if *dose != "full" && *dose != "ci" || fs.NArg() > 0 || s.parallel < 1 {
		err = fmt.Errorf("-dose %q -parallel %d %q: want full or ci, 1 or more, and no arguments", *dose, s.parallel, fs.Args())
		_, _ = fmt.Fprintln(errw, "chaos:", err)
		return s, err
	}
	s.full = *dose == "full"
	s.some = *only != ""
	if s.write && !s.full {
		err = errors.New("-write takes the full dose")
		_, _ = fmt.Fprintln(errw, "chaos:", err)
		return s, err
	}
	for s.seed == 0 {
		s.seed = rand.Uint64N(1_000_000)
	}
	return s, nil
}

// runRows runs the units of all rows that are wanted, some side by side, and returns
// the rows with their results.
func runRows(s settings, all []row, errw io.Writer) []*row {
	var wanted []*row
	for i := range all {
		switch {
		case !s.only.MatchString(all[i].name):
		case len(all[i].units) == 0:
			_, _ = fmt.Fprintln(errw, "not in this dose:", all[i].name)
		case all[i].hosts && !e2e.HasOwnNetwork() && os.Getenv(requireEnv) != "1":
			_, _ = fmt.Fprintln(errw, "left out, since hosts of their own need Linux, root, ip, iptables and nsenter:", all[i].name)
		default:
			wanted = append(wanted, &all[i])
		}
	}
	places := make(chan struct{}, s.parallel)
	var wg sync.WaitGroup
	var mu sync.Mutex
	began := time.Now()
	// Start with units that mostly wait; those that must run alone come at the end.
	for _, alone := range []bool{false, true} {
		for _, r := range byLength(wanted) {
			if r.alone != alone {
				continue
			}
			for n := range r.units {
				places <- struct{}{}
				wg.Go(func() {
					defer func() { <-places }()
					sum := runUnit(s, r, n, errw)
					mu.Lock()
					defer mu.Unlock()
					r.sum.add(sum)
					_, _ = fmt.Fprintf(errw, "%7s  %s %d/%d: %s\n", time.Since(began).Round(time.Second), r.name, n+1, len(r.units), sum.line())
				})
				if alone {
					wg.Wait()
				}
			}
		}
		wg.Wait()
	}
	return wanted
}

// runUnit runs one unit in a lab of its own; its failures and logs go to errw.
func runUnit(s settings, r *row, n int, errw io.Writer) sum {
	name := fmt.Sprintf("%s %d", r.name, n+1)
	u := &unit{full: s.full, rand: rand.New(rand.NewPCG(s.seed, seedOf(r.name)+uint64(n)))}
	if !e2e.Standalone(context.Background(), name, errw, func(tb testingTB) {
		u.TB = tb
		r.units[n](u)
	}) {
		u.sum.failed++
	}
	return u.sum
}
