package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"

	"habilita/internal/config"
	"habilita/internal/engine"
	"habilita/internal/ledger"
)

// dryResult is what --dry-run --json ends with.
type dryResult struct {
	summaryJSON
	DryRun           bool `json:"dry_run"`
	Compared         bool `json:"compared"` // with what is there already
	MaxCallsPerToken int  `json:"max_calls_per_token"`
	plan
}

// dry checks every row, and says what enqueueing them would do, and how long the calls take. It
// asks what is there already, if open (nil: not asked) finds a Redis that answers. It keeps some
// bytes for each row, token and chain.
func (r *bulkRun) dry(ctx context.Context, set config.Settings, open func() (*session, error)) error {
	all, seed := newPlanned(), maphash.MakeSeed()
	most := 0
	calls := func(yield func(engine.Call, error) bool) {
		for c, err := range r.calls() {
			if ctx.Err() != nil { // the input may have ended because of it
				return
			}
			if err == nil {
				token := maphash.String(seed, string(c.Token))
				chain := token
				if c.Chain != "" {
					chain = maphash.Comparable(seed, [2]string{string(c.Token), c.Chain})
				}
				most = max(most, all.add(c.Server, token, chain, c.Licenses))
			}
			if !yield(c, err) {
				return
			}
		}
	}
	opts := append(r.identity(), engine.Look(), engine.OnFailure(r.o.onFailure), engine.OnReject(r.reject), engine.OnLeftOut(r.leftOut),
		engine.OnProgress(func(s engine.Summary) { r.meter.update(r.in.read(), r.in.size, thousands(s.Rows)+" rows checked") }))
	sum, compared, err := r.foresee(ctx, open, calls, opts)
	r.meter.stop()
	if rerr := r.rejects.Close(); err == nil {
		err = rerr
	}
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	expected := all.plan(r.o.plan, set)
	if r.o.asJSON {
		out := dryResult{asSummary(sum), true, compared == "", most, expected}
		if err := writeJSON(r.out, out); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(r.told, "%s checked, of %s; nothing was enqueued\n", count(sum.Rows, "row"), count(sum.Tokens, "token"))
		if words := expected.words(most); words != "" {
			fmt.Fprint(r.told, "if all rows were made now:\n", words)
		}
		if compared == "" {
			fmt.Fprintln(r.told, lastWords(sum))
		} else {
			fmt.Fprintln(r.told, compared)
		}
		r.tellRejects(sum, r.resume())
	}
	return r.foreseen(sum)
}

// foreseen says what --strict and --prune would come to, and ends as the run would.
func (r *bulkRun) foreseen(sum engine.Summary) error {
	switch {
	case r.o.strict && sum.Rejected+sum.Conflicts > 0:
		fmt.Fprintf(r.err, "with --strict nothing would be enqueued: %s rejected, %s in conflict\n", thousands(sum.Rejected), thousands(sum.Conflicts))
		return errTold
	case sum.NotPruned != nil:
		fmt.Fprintf(r.err, "nothing would be pruned: %v%s\n", sum.NotPruned, nameCount(sum.NotPruned))
		if sum.Complete() {
			return errTold
		}
	}
	if !sum.Complete() {
		return errPartial
	}
	return nil
}

// foresee says what enqueueing would do. compared says why that is without a look at what is
// there already; "": it is not.
func (r *bulkRun) foresee(ctx context.Context, open func() (*session, error), calls iter.Seq2[engine.Call, error], opts []engine.BatchOption) (sum engine.Summary, compared string, err error) {
	preview := func(why string) (engine.Summary, string, error) {
		sum, err := engine.Preview(ctx, r.o.batch, calls, opts...)
		return sum, why, err
	}
	if open == nil {
		return preview("what was done already is not looked at")
	}
	s, err := open()
	if err != nil {
		return preview(fmt.Sprintf("what is there already is not known: %v", explain(err)))
	}
	defer s.close()
	if _, err := s.op.Status(ctx, r.o.batch); errors.Is(err, ledger.ErrNoBatch) {
		return preview("")
	}
	p, err := s.producer(ctx)
	if err != nil {
		return preview(fmt.Sprintf("what is there already is not known: %v", explain(err)))
	}
	defer func() { _ = p.Close() }()
	sum, err = p.EnqueueBatch(ctx, r.o.batch, calls, opts...)
	return sum, "", err
}
