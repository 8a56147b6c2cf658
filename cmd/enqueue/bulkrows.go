package main

import (
	"errors"
	"fmt"
	"hash/maphash"
	"iter"

	"habilita/internal/intake"
	"habilita/tasks"
)

// maxWarnings is how many rows with other licences are named one by one.
const maxWarnings = 20

// calls makes calls of the input's rows, and warns where rows of a token differ in
// their licences. Ranged over once more, it reads the input again, and warns no more.
func (r *bulkRun) calls() iter.Seq2[tasks.Call, error] {
	ranged := false
	return func(yield func(tasks.Call, error) bool) {
		if ranged {
			if err := r.in.again(); err != nil {
				yield(tasks.Call{}, err)
				return
			}
		}
		quiet := ranged
		ranged = true
		seen := &licences{known: map[uint64]int{}, seed: maphash.MakeSeed()}
		for row, err := range r.in.rows() {
			r.in.line = row.Line
			if err == nil && !quiet && seen.differs(row) {
				if seen.warned++; seen.warned <= maxWarnings {
					r.meter.log(fmt.Sprintf("%s:%d: warning: licenses: differs from an earlier row of the same token; the last one holds", r.in.name, row.Line))
				}
			}
			c := tasks.Call{Server: row.Server, Token: tasks.Token(row.Token), Licenses: row.Licenses, Chain: row.Chain, Ref: row.Ref, ID: row.ID}
			if !yield(c, err) {
				return
			}
		}
		if n := seen.warned - maxWarnings; n > 0 {
			r.meter.log(fmt.Sprintf("%s: warning: %s more with licenses that differ", r.in.name, count(n, "row")))
		}
	}
}

// reject tells a row that can't be one and keeps it; what is no row's fault ends the run.
func (r *bulkRun) reject(err error) error {
	var row *intake.RowError
	var call *tasks.CallError
	switch {
	case errors.As(err, &row):
		r.meter.log(row.Error())
		r.badText = r.badText || row.BadText
		return r.rejects.Add(row)
	case errors.As(err, &call):
		// The rows were checked already; this is what the producer alone refuses.
		r.meter.log(fmt.Sprintf("%s:%d: %s: %s", r.in.name, r.in.line, call.Field, call.Problem))
		return nil
	}
	return err
}

// licences remembers the last explicit number of each token.
type licences struct {
	known  map[uint64]int
	seed   maphash.Seed
	warned int
}

func (l *licences) differs(row intake.Row) bool {
	if row.Licenses == 0 {
		return false
	}
	h := maphash.String(l.seed, row.Token)
	before, ok := l.known[h]
	l.known[h] = row.Licenses
	return ok && before != row.Licenses
}
