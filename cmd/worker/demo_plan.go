package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"habilita/examples"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/rows"
	"habilita/internal/testkit/wolkvoxtest"
)

// demoBatch is the name of the demo's batch.
const demoBatch = "demo"

// demoPlan is what a file asks for.
type demoPlan struct {
	source   string
	calls    []rows.Row // in the file's order
	rejected []error    // rows that can't be calls
}

// read reads the file that was asked for and reports rows that can't be calls.
func (d *demo) read() (*demoPlan, error) {
	var in io.Reader = examples.Operations()
	name := examples.OperationsName
	if d.file != "" {
		f, err := os.Open(d.file)
		if err != nil {
			return nil, usageError{fmt.Errorf("--file: %w", err)}
		}
		defer f.Close()
		in, name = f, d.file
	}
	plan, err := readPlan(in, name)
	if err != nil {
		return nil, err
	}
	for _, bad := range plan.rejected {
		fmt.Fprintln(d.err, bad)
	}
	if len(plan.calls) == 0 {
		return nil, fmt.Errorf("%s has no row that can be used", name)
	}
	return plan, nil
}

func readPlan(r io.Reader, name string) (*demoPlan, error) {
	plan := &demoPlan{source: name}
	for row, err := range rows.Read(r, name, rows.Auto, rows.UTF8) {
		var bad *rows.RowError
		switch {
		case err == nil:
			plan.calls = append(plan.calls, row)
		case errors.As(err, &bad):
			plan.rejected = append(plan.rejected, bad)
		default:
			return nil, err
		}
	}
	return plan, nil
}

// sequence is the calls as the producer takes them.
func (p *demoPlan) sequence() iter.Seq2[engine.Call, error] {
	return func(yield func(engine.Call, error) bool) {
		for _, c := range p.calls {
			call := engine.Call{Server: c.Server, Token: engine.Token(c.Token), Licenses: c.Licenses, Chain: c.Chain, Ref: c.Ref, ID: c.ID, Row: c.Line}
			if !yield(call, nil) {
				return
			}
		}
	}
}

// drop takes rows out of the plan that were not enqueued.
func (p *demoPlan) drop(lines map[int]bool) {
	p.calls = slices.DeleteFunc(p.calls, func(c rows.Row) bool { return lines[c.Line] })
}

// demoReport is what became of the rows, by their lines.
type demoReport map[int]control.CallRecord

// chains are the ids of the calls of each chain in the file's order, as judged has them.
func (p *demoPlan) chains(report demoReport) [][]string {
	index := map[[2]string]int{}
	var out [][]string
	for _, c := range p.calls {
		chain := [2]string{c.Token, c.Chain}
		i, ok := index[chain]
		if !ok {
			i = len(out)
			index[chain] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], judged(c.Token, report[c.Line].ID))
	}
	return out
}

// judged is a call's id for the judges: a file may give one id to several tokens.
func judged(token, id string) string { return wolkvoxtest.TokenHash(token) + "/" + id }

func (p *demoPlan) tokens() int  { return p.distinct(func(c rows.Row) string { return c.Token }) }
func (p *demoPlan) servers() int { return p.distinct(func(c rows.Row) string { return c.Server }) }

func (p *demoPlan) distinct(of func(rows.Row) string) int {
	seen := map[string]bool{}
	for _, c := range p.calls {
		seen[of(c)] = true
	}
	return len(seen)
}

// operationNames names each token by what the refs of its calls have in common.
func (p *demoPlan) operationNames() map[string]string {
	refs := map[string][]string{}
	for _, c := range p.calls {
		refs[c.Token] = append(refs[c.Token], c.Ref)
	}
	names := map[string]string{}
	for token, all := range refs {
		names[token] = operationName(all)
	}
	return names
}

// operationName is what stands before " - " in a ref where all begin so, such as
// "Soporte Bogotá" of "Soporte Bogotá - módulo chat"; else the first ref, and whether
// there are others.
func operationName(refs []string) string {
	head, _, _ := strings.Cut(refs[0], " - ")
	others := false
	for _, ref := range refs[1:] {
		if before, _, _ := strings.Cut(ref, " - "); before != head {
			return strings.TrimSpace(refs[0] + " ...")
		}
		others = others || ref != refs[0]
	}
	if !others {
		head = refs[0]
	}
	return head
}

// short is a token_id as the table shows it.
func short(tokenID string) string { return tokenID[:min(8, len(tokenID))] }
