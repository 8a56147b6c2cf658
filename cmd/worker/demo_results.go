package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"habilita/internal/control"
)

// maxOperations is how many operations the table shows; of more, those that are not done
// come first.
const maxOperations = 100

// The states of an operation in the table.
const (
	stateDone     = "done"
	stateHeld     = "held"
	stateTomorrow = "tomorrow"
	stateOpen     = "open"
)

// operation is what became of a token's calls.
type operation struct {
	tokenID, server, name      string
	calls, succeeded, attempts int
	state, why                 string
}

// operations adds up the calls of each token, in the file's order.
func operations(plan *demoPlan, report map[callKey]control.CallRecord, s demoState) []*operation {
	names := plan.operationNames()
	byToken := map[string]*operation{}
	seen := map[callKey]bool{}
	var out []*operation
	for _, c := range plan.calls {
		k := callKey{c.tokenID, c.id}
		if seen[k] {
			continue
		}
		seen[k] = true
		o := byToken[c.tokenID]
		if o == nil {
			o = &operation{tokenID: c.tokenID, server: c.Server, name: names[c.Token], state: stateDone}
			byToken[c.tokenID] = o
			out = append(out, o)
		} else if !strings.Contains(o.server, c.Server) {
			o.server += " " + c.Server
		}
		r := report[k]
		o.calls++
		o.attempts += r.Attempts
		if r.Succeeded() {
			o.succeeded++
		} else if o.state == stateDone {
			o.state = stateOpen
		}
	}
	mark := func(chains []control.Chain, state string) {
		for _, c := range chains {
			if o := byToken[c.TokenID]; o != nil {
				o.state, o.why = state, shortly(c)
			}
		}
	}
	mark(s.tomorrow, stateTomorrow)
	mark(s.held, stateHeld)
	return out
}

func (d *demo) printResults(all []*operation, s demoState) {
	shown := all
	if len(all) > maxOperations {
		shown = nil
		for _, done := range []bool{false, true} {
			for _, o := range all {
				if (o.state == stateDone) == done && len(shown) < maxOperations {
					shown = append(shown, o)
				}
			}
		}
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header, t.Style().Format.Footer = text.FormatDefault, text.FormatDefault
	t.AppendHeader(table.Row{"server", "token", "operation", "calls", "succeeded", "attempts", "state", "why"})
	number := func(name string) table.ColumnConfig {
		return table.ColumnConfig{Name: name, Align: text.AlignRight, AlignHeader: text.AlignRight, AlignFooter: text.AlignRight}
	}
	wrapped := func(name string, width int) table.ColumnConfig {
		return table.ColumnConfig{Name: name, WidthMax: width, WidthMaxEnforcer: text.WrapSoft}
	}
	t.SetColumnConfigs([]table.ColumnConfig{
		wrapped("server", 9), wrapped("operation", 28), wrapped("why", 26),
		number("calls"), number("succeeded"), number("attempts"),
	})
	attempts := 0
	for _, o := range all {
		attempts += o.attempts
	}
	for _, o := range shown {
		t.AppendRow(table.Row{o.server, short(o.tokenID), o.name, o.calls, o.succeeded, o.attempts, o.state, o.why})
	}
	t.AppendFooter(table.Row{"", "", count(len(all), "operation"), s.Total, s.Succeeded, attempts})
	heading(d.out, "Results")
	fmt.Fprintf(d.out, "%d of %s succeeded in order; chains held: %d, chains that wait for tomorrow: %d.\n", s.Succeeded, count(s.Total, "call"),
		len(s.held), len(s.tomorrow))
	fmt.Fprintln(d.out, t.Render())
	if n := len(all) - len(shown); n > 0 {
		fmt.Fprintf(d.out, "and %s more\n", count(n, "operation"))
	}
}

func heading(w io.Writer, title string) { fmt.Fprintf(w, "\n== %s ==\n", title) }
