package main

import (
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"strconv"

	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/rows"
	"habilita/internal/say"
	"habilita/internal/seen"
)

// maxWarnings is how many rows with other licences are named one by one.
const maxWarnings = 20

// calls makes calls of the input's rows, and warns where rows of a token differ in
// their licences. Ranged over once more, it reads the input again, and warns no more.
func (r *bulkRun) calls() iter.Seq2[engine.Call, error] {
	ranged := false
	return func(yield func(engine.Call, error) bool) {
		if ranged {
			if err := r.in.again(); err != nil {
				yield(engine.Call{}, err)
				return
			}
		}
		quiet := ranged
		ranged = true
		given := &licences{seed: maphash.MakeSeed()}
		for row, err := range r.in.rows() {
			r.in.line = row.Line
			if err == nil && !quiet && given.differs(row) {
				if given.warned++; given.warned <= maxWarnings {
					r.meter.Log(fmt.Sprintf("%s:%d: warning: licenses: differs from an earlier row of the same token; the last one wins", r.in.name, row.Line))
				}
			}
			r.part = r.part || row.FromRejects // one row tells it of the file
			if r.part && r.o.path != "" {
				yield(engine.Call{}, usagef("%s is a rejects file: name the batch that its rows are of with --batch, or give the whole corrected file", r.in.name))
				return
			}
			if r.part && r.whole {
				yield(engine.Call{}, usagef("%s is a rejects file: correct the file that its rows came from and run that again; what was made stays made", r.in.name))
				return
			}
			c, err := engine.CallOfRow(row, err)
			if r.rejects.Path() != "" && err == nil {
				c.Source = &row // kept until it is known what becomes of it
			}
			if !yield(c, err) {
				return
			}
		}
		if n := given.warned - maxWarnings; n > 0 {
			r.meter.Log(fmt.Sprintf("%s: warning: %s more with licenses that differ", r.in.name, say.Count(n, "row")))
		}
	}
}

// leftOut tells a row that was left out for another reason, and keeps it.
func (r *bulkRun) leftOut(err error) error {
	if conflict, ok := errors.AsType[*engine.ConflictError](err); ok {
		conflict.Unsent = conflict.Unsent && !r.whole // run has no --prune
	}
	line, field, source := engine.LeftOutRow(err)
	if !is[*engine.WithheldError](err) { // these can be many, and are the fault of one
		r.meter.Log(fmt.Sprintf("%s:%d: %s: %v", r.in.name, line, field, err))
	}
	if row, ok := source.(*rows.Row); ok {
		return r.rejects.AddRow(*row, field+": "+err.Error())
	}
	return nil
}

// reject tells a row that can't be one and keeps it; what is no row's fault ends the run.
func (r *bulkRun) reject(err error) error {
	if row, ok := errors.AsType[*rows.RowError](err); ok {
		r.meter.Log(row.Error())
		r.badText = r.badText || row.BadText
		return r.rejects.Add(row)
	}
	if call, ok := errors.AsType[*engine.CallError](err); ok {
		// The rows were checked already; this is what the producer alone refuses.
		r.meter.Log(fmt.Sprintf("%s:%d: %s: %s", r.in.name, r.in.line, call.Field, call.Problem))
		return nil
	}
	return err
}

// licences remembers the last explicit number of each token.
type licences struct {
	known  seen.Table
	seed   maphash.Seed
	warned int
}

func (l *licences) differs(row rows.Row) bool {
	if row.Licenses == 0 {
		return false
	}
	at := l.known.At(maphash.String(l.seed, row.Token))
	before := *at
	*at = uint32(row.Licenses)
	return before != 0 && before != uint32(row.Licenses)
}

// pruneFlag is --prune or --prune=N.
type pruneFlag struct {
	set bool
	n   int // 0: not named
}

// pruneOption is its name.
const pruneOption = "--prune"

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

// again is the flag in the command that goes on.
func (p *pruneFlag) again() string {
	if p.n > 0 {
		return fmt.Sprintf(" %s=%d", pruneOption, p.n)
	}
	return given("prune", p.set)
}

// options are those of a run over the rows: how rows are known, and what becomes of them is told, and how far it is.
func (r *bulkRun) options(words func(engine.Summary) string) engine.BatchOptions {
	o := r.o
	return engine.BatchOptions{
		Policy: ledger.Policy(o.onFailure), Path: o.path, PartIf: func() bool { return r.part },
		Strict: o.strict, Prune: o.prune.set, PruneExactly: o.prune.n,
		OnReject: r.reject, OnLeftOut: r.leftOut,
		OnProgress: func(s engine.Summary) {
			saveMemory(s.Rows)
			r.meter.Update(r.in.read(), r.in.size, words(s))
		},
	}
}

func rowsChecked(s engine.Summary) string { return say.Thousands(s.Rows) + " rows checked" }

func itThem(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}
