// Command mutations takes one mechanism at a time out of a copy of the module and shows
// that a test fails for each.
//
//	go run -C e2e ./mutations                        all of them, and the table
//	go run -C e2e ./mutations -only 'fence|lease'    those whose name matches
//	go run -C e2e ./mutations -write                 and the table into docs/mutations.md
//	go run -C e2e ./mutations -list                  run nothing, print that document
//
// It needs git, to know the module's files, and redis-server. The checkout is left alone:
// the copy is deleted at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"habilita/e2e"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "mutations:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, errs io.Writer) (err error) {
	flags := flag.NewFlagSet("mutations", flag.ContinueOnError)
	flags.SetOutput(errs)
	only := flags.String("only", "", "only mutations whose mechanism or test matches this regular `expression` (no case)")
	write := flags.Bool("write", false, "write "+docsFile+" when all were caught")
	list := flags.Bool("list", false, "run nothing; print "+docsFile+" as the list says it")
	verbose := flags.Bool("v", false, "show what each failing test said")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *write && *only != "" {
		return errors.New("-write takes all mutations: leave -only out")
	}
	if *list {
		_, err := io.WriteString(out, docsText())
		return err
	}
	root, err := e2e.Root()
	if err != nil {
		return err
	}
	which, err := regexp.Compile("(?i)" + *only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	var chosen []mutation
	for _, m := range all() {
		if which.MatchString(m.Mechanism + " " + m.Test) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no mutation matches %q", *only)
	}
	began := time.Now()
	b, err := newBench(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	fmt.Fprintf(out, "%d mutations; the tests without any come first\n", len(chosen))
	if err := b.baseline(ctx, chosen); err != nil {
		return err
	}
	caught := 0
	for i, m := range chosen {
		v, err := b.try(ctx, m)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		verdict := "caught"
		switch {
		case err != nil: // it proves nothing; the others do
			verdict, v.output = "BROKEN", err.Error()
		case !v.caught:
			verdict = "SURVIVED"
		default:
			caught++
		}
		fmt.Fprintf(out, "%3d  %-8s  %4.1f s  %s\n     %s\n     %s %s\n", i+1, verdict, v.took.Seconds(), m.Mechanism, m.Change, m.Package, m.Test)
		if *verbose || verdict != "caught" {
			fmt.Fprintf(out, "%s\n", indent(v.output))
		}
	}
	fmt.Fprintf(out, "\n%d of %d caught, in %s\n", caught, len(chosen), time.Since(began).Round(time.Second))
	if left := len(chosen) - caught; left > 0 {
		return fmt.Errorf("%d were not caught: write the test, or find out why the mechanism is not needed", left)
	}
	if *write {
		return writeDocs(root)
	}
	return nil
}

// indent keeps the end of an output, which says what failed.
func indent(text string) string {
	rows := strings.Split(strings.TrimSpace(text), "\n")
	return "       | " + strings.Join(rows[max(0, len(rows)-12):], "\n       | ")
}
