package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"habilita/internal/testkit/wolkvoxtest"
)

// run serves until ctx ends. It returns the exit status: 0 all well, 1 it failed, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	set, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "simulate:", err)
		return 2
	}
	if err := serve(ctx, set, stdout, stderr); err != nil {
		_, _ = fmt.Fprintln(stderr, "simulate:", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, set settings, stdout, stderr io.Writer) (err error) {
	opts := set.options()
	if set.account != "" {
		f, err := os.OpenFile(set.account, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("account file: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		opts.Log = f
	}
	if set.downFor > 0 && set.downFault != nil {
		down := wolkvoxtest.Until(time.Now().Add(set.downFor), *set.downFault)
		opts.Script = wolkvoxtest.First(down, opts.Script)
	}
	sim, err := listen(set, opts)
	if err != nil {
		return err
	}
	defer sim.Close()
	if set.downFor > 0 && set.downFault == nil {
		sim.Down()
	}
	if _, err := fmt.Fprintln(stdout, sim.URL); err != nil {
		return fmt.Errorf("print the URL: %w", err)
	}
	if set.downFor > 0 && set.downFault == nil {
		if pause(ctx, set.downFor) {
			if err := sim.Up(); err != nil {
				return err
			}
		}
	}
	<-ctx.Done()
	sim.Close()
	if err := sim.Account().Summarize(nil).Write(stderr); err != nil {
		return fmt.Errorf("print the summary: %w", err)
	}
	if err := sim.LogErr(); err != nil {
		return fmt.Errorf("the account is incomplete: %w", err)
	}
	return nil
}

func listen(set settings, opts wolkvoxtest.Options) (*wolkvoxtest.Server, error) {
	if set.cert != nil {
		return wolkvoxtest.ListenTLS(set.listen, *set.cert, opts)
	}
	return wolkvoxtest.Listen(set.listen, opts)
}

// pause waits for d and returns true, or returns false as soon as ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
