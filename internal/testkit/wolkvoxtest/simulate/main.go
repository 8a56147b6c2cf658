// Command simulate runs a simulated wolkvox in a process of its own.
//
//	go run ./internal/testkit/wolkvoxtest/simulate --account account.jsonl --latency 20ms --fault-rate 0.1
//
// Its first line on standard output is the URL to give as WOLKVOX_URL. It ends at SIGTERM or SIGINT and prints what it saw.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
