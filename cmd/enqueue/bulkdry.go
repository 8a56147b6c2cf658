package main

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"habilita/internal/config"
	"habilita/tasks"
)

// dryResult is what --dry-run --json ends with.
type dryResult struct {
	summaryJSON
	DryRun           bool `json:"dry_run"`
	MaxCallsPerToken int  `json:"max_calls_per_token"`
	plan
}

// dry checks every row, counts, and plans, with no Redis. It keeps some bytes for each
// token and chain, none for each row.
func (r *bulkRun) dry(ctx context.Context, set config.Settings) error {
	started := time.Now()
	sum := tasks.Summary{Batch: r.o.batch}
	all, seed := planned{map[uint64]*plannedToken{}, map[uint64]int{}}, maphash.MakeSeed()
	most := 0
	for c, err := range r.calls() {
		if err == nil {
			err = ctx.Err()
		}
		sum.Rows++
		if err != nil {
			if err := r.reject(err); err != nil {
				r.meter.stop()
				_ = r.rejects.Close()
				return err
			}
			sum.Rejected++
			continue
		}
		token := maphash.String(seed, string(c.Token))
		chain := token
		if c.Chain != "" {
			chain = maphash.Comparable(seed, [2]string{string(c.Token), c.Chain})
		}
		most = max(most, all.add(token, chain, c.Licenses))
		if sum.Rows%10_000 == 0 {
			r.meter.update(r.in.read(), r.in.size, thousands(sum.Rows)+" rows checked")
		}
	}
	sum.Tokens, sum.Elapsed = len(all.tokens), time.Since(started)
	r.meter.stop()
	if err := r.rejects.Close(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // the input may have ended because of it
	}
	expected := all.plan(r.o.plan, set)
	if r.o.asJSON {
		if err := writeJSON(r.out, dryResult{asSummary(sum), true, most, expected}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(r.told, "%s checked: %s of %s, at most %s for a token; %d rejected; nothing was enqueued\n",
			count(sum.Rows, "row"), count(sum.Rows-sum.Rejected, "call"), count(sum.Tokens, "token"), count(most, "call"), sum.Rejected)
		fmt.Fprint(r.told, expected.words(most))
		r.tellRejects(sum)
	}
	if sum.Rejected > 0 {
		return errPartial
	}
	return nil
}
