// Command enqueue gives calls to habilita, shows what became of them, and is how a
// person decides on those that were given up. `enqueue --help` shows it all.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // QUOTA_TIMEZONE on machines without a zone database

	"github.com/redis/go-redis/v9/logging"
)

func main() { os.Exit(mainStatus()) }

// mainStatus is main without the exit, so that tests can run it as a command.
func mainStatus() int {
	logging.Disable() // go-redis prints every failed dial; the command says it once, in words
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends things in order; a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
}

// run is the command with all that it touches: it returns the exit status.
func run(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out, errw io.Writer) int {
	a := &app{getenv: getenv, in: in, out: out, err: errw}
	root := a.root()
	root.SetArgs(args)
	return a.status(root.ExecuteContext(asPerson(ctx, errw)))
}
