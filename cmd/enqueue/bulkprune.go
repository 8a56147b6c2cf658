package main

import (
	"errors"
	"fmt"
	"strconv"

	"habilita/internal/engine"
)

// pruneFlag is --prune or --prune=N.
type pruneFlag struct {
	set bool
	n   int // 0: not named
}

func (p *pruneFlag) String() string { return "" }
func (p *pruneFlag) Type() string   { return "N" }

func (p *pruneFlag) Set(s string) error {
	p.set = true
	if s == "yes" {
		p.n = 0
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return errors.New("want the number of calls that are to be cancelled, from 1")
	}
	p.n = n
	return nil
}

// identity are the options of how rows are known.
func (r *bulkRun) identity() []engine.BatchOption {
	o := r.o
	opts := []engine.BatchOption{engine.PartIf(func() bool { return r.part })}
	if o.path != "" {
		opts = append(opts, engine.FromFile(o.path))
	}
	if o.strict {
		opts = append(opts, engine.Strict())
	}
	switch {
	case o.prune.n > 0:
		opts = append(opts, engine.PruneExactly(o.prune.n))
	case o.prune.set:
		opts = append(opts, engine.Prune())
	}
	return opts
}

// notPruned says why nothing was cancelled.
func (r *bulkRun) notPruned(s engine.Summary) {
	if s.NotPruned == nil {
		return
	}
	fmt.Fprintf(r.err, "nothing was pruned: %v%s\n", s.NotPruned, nameCount(s.NotPruned))
}

// nameCount is what to give where calls must be named to be pruned; "" where not.
func nameCount(err error) string {
	var count *engine.PruneCountError
	if errors.As(err, &count) && count.Missing > 0 {
		return fmt.Sprintf(": to cancel %s give --prune=%d", themIt(count.Missing), count.Missing)
	}
	return ""
}

func themIt(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}
