package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/engine"
	"habilita/internal/leasttime"
	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/say"
)

// dryResult is what --dry-run --json ends with.
type dryResult struct {
	engine.SummaryJSON
	DryRun   bool `json:"dry_run"`
	Compared bool `json:"compared"` // with what is there already
	plan
}

// dry checks every row, and says what enqueueing them would do and how long the calls would take. It
// keeps some bytes for each row, token and chain. again is the command that takes the corrected file.
// foresee works out what enqueueing would do. If it can't compare the rows with what is there already, it notes why.
func (r *rowsRun) dry(ctx context.Context, set config.Settings, again string,
	foresee func(calls iter.Seq2[engine.Call, error], o engine.BatchOptions) (engine.Summary, error)) error {
	var all *planned
	seed, rows := maphash.MakeSeed(), r.calls()
	calls := func(yield func(engine.Call, error) bool) {
		all = newPlanned() // run reads a file twice
		for c, err := range rows {
			if ctx.Err() != nil { // the input may have ended because of it
				return
			}
			if err == nil {
				all.add(c.Server, maphash.String(seed, string(c.Token)), maphash.Comparable(seed, [2]string{string(c.Token), c.Chain}), c.Licenses)
			}
			if !yield(c, err) {
				return
			}
		}
	}
	sum, err := foresee(calls, r.options(rowsChecked))
	r.meter.Stop()
	if err = errors.Join(err, r.rejects.Close(), ctx.Err()); err != nil {
		return err
	}
	expected := all.plan(r.o.plan, set)
	err = r.give(dryResult{sum.JSON(pruneOption), true, r.notCompared == "", expected}, nil, func() {
		fmt.Fprintf(r.out, "%s checked, of %s; nothing was enqueued\n", say.Count(sum.Rows, "row"), say.Count(sum.Tokens, "token"))
		if words := expected.words(); words != "" {
			fmt.Fprint(r.out, "if all rows were made now:\n", words)
		}
		fmt.Fprintln(r.out, cmp.Or(r.notCompared, lastWords(sum, r.whole, false)))
		r.tellTimes(sum)
		r.tellRejects(sum, again)
	})
	return cmp.Or(err, r.foreseen(sum))
}

// foreseen says what --strict and --prune would do, and returns the error that the run would end with.
func (r *rowsRun) foreseen(sum engine.Summary) error {
	switch {
	case r.o.strict && sum.Rejected+sum.Conflicts > 0:
		fmt.Fprintf(r.err, "with --strict nothing would be enqueued: %s rejected, %s in conflict\n", say.Thousands(sum.Rejected), say.Thousands(sum.Conflicts))
		return errTold
	case sum.NotPruned != nil:
		fmt.Fprintf(r.err, "nothing would be pruned: %s\n", engine.NotPrunedWords(sum.NotPruned, pruneOption))
	}
	return ending(sum)
}

// foresee compares the rows with what is there already, if Redis answers.
func (r *rowsRun) foresee(cmd *cobra.Command, calls iter.Seq2[engine.Call, error], o engine.BatchOptions) (engine.Summary, error) {
	ctx := cmd.Context()
	preview := func(why error) (engine.Summary, error) {
		if why != nil {
			r.notCompared = "what is there already is not known: " + explain(why)
		}
		return engine.Preview(ctx, r.o.batch, calls, o)
	}
	s, err := r.open(cmd, redisconn.Producer, producing)
	if err != nil {
		return preview(err)
	}
	defer s.close()
	if _, err := s.control.Status(ctx, r.o.batch); errors.Is(err, ledger.ErrNoBatch) {
		return preview(nil)
	}
	p, err := engine.NewProducer(ctx, s.rdb, s.set.Options)
	if err != nil {
		return preview(err)
	}
	defer func() { _ = p.Close() }()
	o.Look = true
	return p.EnqueueBatch(ctx, r.o.batch, calls, o)
}

// planFlags are what a plan assumes of the vendor and the workers.
type planFlags struct {
	latency time.Duration
	workers int
}

// planned adds up the rows of a file, with an entry for each token, chain and server.
type planned struct {
	tokens  map[uint64]plannedToken
	chains  map[uint64]int // calls
	servers map[string]int // calls
	load    leasttime.Load
}

func newPlanned() *planned {
	return &planned{tokens: map[uint64]plannedToken{}, chains: map[uint64]int{}, servers: map[string]int{}}
}

type plannedToken struct{ calls, licenses int }

// plan is what a dry run expects, for --json too. Times are in seconds.
type plan struct {
	MaxCalls      int             `json:"max_calls_per_token"`
	MinCalls      int             `json:"min_calls_per_token"`
	MedianCalls   int             `json:"median_calls_per_token"`
	LongestChain  int             `json:"longest_chain"`
	QuotaDays     int             `json:"quota_days"`            // days of the vendor that the quota takes, the first one whole
	Seconds       float64         `json:"plan_seconds"`          // of one go, with no regard to the quota
	Bound         leasttime.Bound `json:"plan_bound"`            // what takes that long: chain, slots, server or concurrency
	Latency       float64         `json:"plan_latency"`          // assumed of each call
	Workers       int             `json:"plan_workers"`          // assumed
	InFlight      int             `json:"plan_in_flight"`        // assumed of all workers
	AtServer      int             `json:"plan_server_in_flight"` // assumed of all workers, at one server
	Slots         int             `json:"plan_token_slots"`
	TokensOverDay int             `json:"tokens_over_quota"` // that have more calls than a day's quota
}

func (p *planned) add(server string, token, chain uint64, licenses int) {
	before := p.tokens[token]
	p.tokens[token] = plannedToken{before.calls + 1, cmp.Or(licenses, before.licenses)} // the last licences win
	p.chains[chain]++
	p.servers[server]++
	p.load = leasttime.Load{Calls: p.load.Calls + 1, LongestChain: max(p.load.LongestChain, p.chains[chain]),
		BusiestToken: max(p.load.BusiestToken, before.calls+1), BusiestHost: max(p.load.BusiestHost, p.servers[server])}
}

// plan works out the bounds. A day's quota is assumed to be unused.
func (p *planned) plan(f planFlags, s config.Settings) plan {
	least, bound := leasttime.Of(p.load, leasttime.Limits{
		Workers: f.workers, Concurrency: s.Concurrency, ServerConcurrency: s.ServerConcurrency, TokenSlots: s.Quota.Slots,
	}, f.latency)
	out := plan{
		MaxCalls: p.load.BusiestToken, LongestChain: p.load.LongestChain, Seconds: float64(least.Milliseconds()) / 1000, Bound: bound,
		Latency: f.latency.Seconds(), Workers: f.workers, Slots: s.Quota.Slots,
		InFlight: s.Concurrency * f.workers, AtServer: s.ServerConcurrency * f.workers,
	}
	var calls []int
	for _, t := range p.tokens {
		calls = append(calls, t.calls)
		day := cmp.Or(t.licenses, s.Quota.DefaultLicenses) * quota.RequestsPerLicense
		days := (t.calls + day - 1) / day
		out.QuotaDays = max(out.QuotaDays, days)
		if days > 1 {
			out.TokensOverDay++
		}
	}
	if len(calls) > 0 {
		slices.Sort(calls)
		out.MinCalls, out.MedianCalls = calls[0], calls[len(calls)/2]
	}
	return out
}

var boundWords = map[leasttime.Bound]string{
	leasttime.Chain:       "the longest chain, whose calls are made one after the other",
	leasttime.Slots:       "the token with the most calls, and its slots",
	leasttime.Server:      "the server with the most calls, and the workers' SERVER_CONCURRENCY",
	leasttime.Concurrency: "the number of calls, and the workers' CONCURRENCY",
}

// words describes a plan to people, with what it assumes.
func (p plan) words() string {
	if p.Bound == leasttime.Nothing {
		return ""
	}
	days := "the day's quota is enough for every token"
	if p.QuotaDays > 1 {
		days = fmt.Sprintf("the quota takes %s: %s more calls than licences x %d", say.Count(p.QuotaDays, "day"), say.Plural(p.TokensOverDay, "token has", "tokens have"), quota.RequestsPerLicense)
	}
	return fmt.Sprintf("calls per token   least %s, median %s, most %s; longest chain %s\n"+
		"quota             %s\n"+
		"time              at least %s: %s\n"+
		"assumed           %s for each call, %s with %s in flight in all and %s at one server, %s for each token, today's quota unused, no failures\n",
		say.Thousands(p.MinCalls), say.Thousands(p.MedianCalls), say.Thousands(p.MaxCalls), say.Thousands(p.LongestChain), days,
		p.time(), boundWords[p.Bound], spanOf(p.Latency), say.Count(p.Workers, "worker"), say.Count(p.InFlight, "call"), say.Thousands(p.AtServer), say.Count(p.Slots, "slot"))
}

// time is the least time, with the days that the quota adds.
func (p plan) time() string {
	span := inWords(spanOf(p.Seconds))
	if p.Seconds < 60 {
		span = spanOf(p.Seconds).String()
	}
	if p.QuotaDays > 1 {
		return fmt.Sprintf("%s of calls, and until the vendor's day %d", span, p.QuotaDays)
	}
	return span
}

// planning checks f, and loads the settings that a plan assumes.
func (a *app) planning(cmd *cobra.Command, f planFlags) (config.Settings, error) {
	switch {
	case f.latency <= 0:
		return config.Settings{}, usagef("--latency %s: want a time above zero, such as 2s", f.latency)
	case f.workers < 1 || f.workers > 10_000:
		return config.Settings{}, usagef("--workers %d: want a number from 1 to 10,000", f.workers)
	}
	return config.Load(cmd.Flags(), a.getenv, config.Limits|config.Calls)
}
