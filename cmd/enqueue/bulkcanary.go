package main

import (
	"context"
	"fmt"

	"habilita/internal/control"
	"habilita/internal/engine"
)

// canaries shows how those that go first get on.
func (r *bulkRun) canaries(c engine.Canaries) {
	words := fmt.Sprintf("canaries: %s of %s succeeded", thousands(c.Succeeded), count(c.Calls, "call"))
	for _, p := range []struct {
		n    int
		what string
	}{{c.Failed, "failed"}, {c.Skipped, "skipped"}, {c.Cancelled, "cancelled"}, {c.Open, "open"}} {
		if p.n > 0 {
			words += ", " + thousands(p.n) + " " + p.what
		}
	}
	r.meter.update(int64(c.Calls-c.Open), int64(c.Calls), words)
}

// held says that the batch holds, why, and what a person can do. The error is errPartial.
func (r *bulkRun) held(ctx context.Context, op *control.Control, sum engine.Summary, e *engine.CanaryError) error {
	c, batch := e.Canaries, quoteArg(r.o.batch)
	again := r.resume()
	r.o.canary = 0
	fmt.Fprintf(r.err, "the batch holds: %s of %s of the canaries (the first %s) did not succeed; %s not enqueued\n"+
		"why      enqueue chains --held   (or: enqueue report %s)\n"+
		"retry    enqueue retry --batch %s, then: %s\n"+
		"go on    %s --canary 0   (all the same)\n"+
		"give up  enqueue cancel --batch %s\n",
		thousands(c.Calls-c.Succeeded), count(c.Calls, "call"), count(c.Tokens, "token"),
		rowsAre(sum.Withheld), batch, batch, again, r.resume(), batch)
	r.tellRejects(sum, again)
	st, err := op.Status(ctx, r.o.batch)
	if err != nil {
		return err
	}
	return r.end(sum, &st, errPartial)
}

func rowsAre(n int) string {
	if n == 1 {
		return "1 row is"
	}
	return thousands(n) + " rows are"
}

// canaryWords say how it is with a batch that has canaries; "" where there is nothing
// to say.
func canaryWords(s control.Status) string {
	switch s.Canary.State {
	case control.CanaryHeld:
		return fmt.Sprintf("holds: not all calls of its canaries (the first %s) succeeded; the others are not enqueued: "+
			"give the enqueue command again when they did, or with --canary 0 to let the others go in all the same", count(s.Canary.Tokens, "token"))
	case control.CanaryWaiting:
		if s.Open == 0 {
			return fmt.Sprintf("its canaries (the first %s) succeeded; the others are not enqueued yet: "+
				"where the enqueue command has ended, give it again", count(s.Canary.Tokens, "token"))
		}
		return fmt.Sprintf("its canaries (the first %s) go first; the others are enqueued when these succeeded", count(s.Canary.Tokens, "token"))
	}
	return ""
}
