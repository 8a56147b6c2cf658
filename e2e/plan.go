package e2e

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"habilita/internal/control"
)

// Row is a row of a file to enqueue.
type Row struct {
	Server, Token, Chain, ID string
	Licenses                 int
}

// Plan is what a batch is meant to contain, in the file's order. Each row's ref is its
// place in the file, so that a report can be put in order again.
type Plan struct {
	Batch string
	Rows  []Row
}

// CSV returns the plan as a file for `enqueue bulk`.
func (p Plan) CSV() string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"server", "token", "licenses", "chain", "ref", "id"}) // a strings.Builder never fails
	for i, r := range p.Rows {
		licenses := ""
		if r.Licenses > 0 {
			licenses = strconv.Itoa(r.Licenses)
		}
		server := cmp.Or(r.Server, "0001")
		_ = w.Write([]string{server, r.Token, licenses, r.Chain, refOf(i), r.ID})
	}
	w.Flush()
	return b.String()
}

func refOf(i int) string { return fmt.Sprintf("row-%07d", i) }

// Bulk writes the plan's file and enqueues it. Its status must be 0.
func (l *Lab) Bulk(p Plan, flags ...string) Summary {
	l.TB.Helper()
	file := l.File(p.Batch+".csv", p.CSV())
	r := l.MustEnqueue(append([]string{"bulk", file, "--batch", p.Batch, "--json", "--progress", "none"}, flags...)...)
	var s Summary
	l.JSON(r, &s)
	return s
}

// chainsOf sorts a report's calls into their chains, in the file's order.
func chainsOf(calls []control.CallRecord) map[string][]control.CallRecord {
	chains := map[string][]control.CallRecord{}
	for _, c := range calls {
		chains[c.Chain] = append(chains[c.Chain], c)
	}
	for _, c := range chains {
		slices.SortFunc(c, func(a, b control.CallRecord) int { return cmp.Compare(a.Ref, b.Ref) })
	}
	return chains
}

// Many makes rows: calls of each token, in turn, so that the chains are interleaved.
func Many(tokens, each int, token func(i int) string) []Row {
	var rows []Row
	for range each {
		for t := range tokens {
			rows = append(rows, Row{Server: fmt.Sprintf("%04d", t%12+1), Token: token(t), Licenses: 1})
		}
	}
	return rows
}

// Chained spreads the rows of each token over n named chains of it, in turn.
func Chained(n int, rows []Row) []Row {
	seen := map[string]int{}
	for i := range rows {
		rows[i].Chain = fmt.Sprint("c", seen[rows[i].Token]%n)
		seen[rows[i].Token]++
	}
	return rows
}
