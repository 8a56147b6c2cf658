package main

import (
	"context"
	"fmt"
	"io"
)

// listScheduled lists the calls that are not due yet.
func listScheduled(ctx context.Context, w io.Writer, s *session, asJSON bool) error {
	n := 0
	for c, err := range s.op.Scheduled(ctx) {
		if err != nil {
			return err
		}
		n++
		if asJSON {
			err = writeJSON(w, c)
		} else {
			_, err = fmt.Fprintf(w, "%s  %s  server %s  chain %s\n", local(c.DueAt, s.set.Timezone), c.ID, c.Server, c.Chain)
		}
		if err != nil {
			return err
		}
	}
	if n == 0 && !asJSON {
		fmt.Fprintln(w, "no call is scheduled")
	}
	return nil
}

// tellScheduled says that there are calls that are not due yet, where there are.
func tellScheduled(ctx context.Context, w io.Writer, s *session) error {
	n, next, err := s.op.CountScheduled(ctx)
	if err != nil || n == 0 {
		return err
	}
	_, err = fmt.Fprintf(w, "%s scheduled, the first for %s: enqueue chains --scheduled\n", count(n, "call"), local(next, s.set.Timezone))
	return err
}
