package main

import (
	"errors"
	"fmt"
	"strconv"

	"habilita/tasks"
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
func (r *bulkRun) identity() []tasks.BatchOption {
	o := r.o
	opts := []tasks.BatchOption{tasks.PartIf(func() bool { return r.part })}
	if o.path != "" {
		opts = append(opts, tasks.FromFile(o.path))
	}
	if o.strict {
		opts = append(opts, tasks.Strict())
	}
	switch {
	case o.prune.n > 0:
		opts = append(opts, tasks.PruneExactly(o.prune.n))
	case o.prune.set:
		opts = append(opts, tasks.Prune())
	}
	return opts
}

// notPruned says why nothing was cancelled.
func (r *bulkRun) notPruned(s tasks.Summary) {
	if s.NotPruned == nil {
		return
	}
	var count *tasks.PruneCountError
	next := ""
	if errors.As(s.NotPruned, &count) && count.Missing > 0 {
		next = fmt.Sprintf(": to cancel them give --prune=%d", count.Missing)
	}
	fmt.Fprintf(r.err, "nothing was pruned: %v%s\n", s.NotPruned, next)
}
