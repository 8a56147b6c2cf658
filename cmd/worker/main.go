// Command worker makes the calls that were enqueued. See worker --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // the vendor's time zone, also in an image that has no zones

	"github.com/redis/go-redis/v9/logging"
)

func main() {
	logging.Disable() // go-redis prints every failed dial; our own log says it once
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}
