package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"habilita/examples"
	"habilita/internal/engine"
	"habilita/internal/rows"
	"habilita/internal/say"
)

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

// enqueue gives the plan's rows, and takes out of the plan those that are left out.
func (d *demo) enqueue(ctx context.Context, plan *demoPlan, w *demoWorld) error {
	left := map[int]bool{}
	_, err := w.Producer.EnqueueBatch(ctx, demoBatch, func(yield func(engine.Call, error) bool) {
		for _, c := range plan.calls {
			if !yield(engine.CallOfRow(c, nil)) {
				return
			}
		}
	}, engine.BatchOptions{OnLeftOut: func(err error) error {
		line, _, _ := engine.LeftOutRow(err)
		left[line] = true
		return nil
	}})
	plan.calls = slices.DeleteFunc(plan.calls, func(c rows.Row) bool { return left[c.Line] })
	if err == nil && len(left) > 0 {
		fmt.Fprintf(d.out, "Left out, since an id stands twice in the file: %s.\n", say.Count(len(left), "row"))
	}
	return err
}

func (p *demoPlan) tokens() int  { return p.distinct(func(c rows.Row) string { return c.Token }) }
func (p *demoPlan) servers() int { return p.distinct(func(c rows.Row) string { return c.Server }) }

func (p *demoPlan) distinct(of func(rows.Row) string) int {
	seen := map[string]bool{}
	for _, c := range p.calls {
		seen[of(c)] = true
	}
	return len(seen)
}

// operationName is what stands before " - " in the ref of an operation's call, such as "Soporte Bogotá" of
// "Soporte Bogotá - módulo chat".
func operationName(ref string) string {
	name, _, _ := strings.Cut(ref, " - ")
	return name
}

// short is a token_id as the table shows it.
func short(tokenID string) string { return tokenID[:min(8, len(tokenID))] }
