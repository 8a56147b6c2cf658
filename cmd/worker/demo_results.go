package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"habilita/internal/control"
	"habilita/internal/say"
	"habilita/internal/testkit/wolkvoxtest"
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
func operations(plan *demoPlan, report demoReport, s demoState) []*operation {
	names := plan.operationNames()
	byToken := map[string]*operation{}
	var out []*operation
	for _, c := range plan.calls {
		r := report[c.Line]
		o := byToken[r.TokenID]
		if o == nil {
			o = &operation{tokenID: r.TokenID, server: c.Server, name: names[c.Token], state: stateDone}
			byToken[r.TokenID] = o
			out = append(out, o)
		} else if !strings.Contains(o.server, c.Server) {
			o.server += " " + c.Server
		}
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
	t.AppendFooter(table.Row{"", "", say.Count(len(all), "operation"), s.Total, s.Succeeded, attempts})
	heading(d.out, "Results")
	fmt.Fprintf(d.out, "%d of %s succeeded in order; chains held: %d, chains that wait for tomorrow: %d.\n", s.Succeeded, say.Count(s.Total, "call"),
		len(s.held), len(s.tomorrow))
	fmt.Fprintln(d.out, t.Render())
	if n := len(all) - len(shown); n > 0 {
		fmt.Fprintf(d.out, "and %s more\n", say.Count(n, "operation"))
	}
}

func heading(w io.Writer, title string) { fmt.Fprintf(w, "\n== %s ==\n", title) }

// lost names the calls on which the ledger and the vendor disagree: those without a record,
// and those that the ledger calls done and the vendor never made.
func lost(plan *demoPlan, report demoReport, a wolkvoxtest.Account) []string {
	did := map[string]bool{}
	for _, r := range a.Records {
		if r.Success {
			did[r.Call] = true
		}
	}
	missing, lies := 0, 0
	for _, c := range plan.calls {
		r, ok := report[c.Line]
		switch {
		case !ok:
			missing++
		case r.Succeeded() && !did[judged(c.Token, r.ID)]:
			lies++
		}
	}
	var out []string
	if missing > 0 {
		out = append(out, say.Count(missing, "call")+" of the file can't be found any more")
	}
	if lies > 0 {
		out = append(out, say.Count(lies, "call")+" said to have succeeded that the vendor never did")
	}
	return out
}

// printAccount prints what the vendor saw.
func (d *demo) printAccount(a wolkvoxtest.Account, s wolkvoxtest.Summary) error {
	heading(d.out, "The vendor's own account")
	fmt.Fprintln(d.out, "What the simulated wolkvox wrote down of every request. The promises are judged by this,\nand not by what we think that we did.")
	fmt.Fprintln(d.out)
	var b strings.Builder
	if err := s.Write(&b); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		fmt.Fprint(d.out, "  ", line)
	}
	given := map[wolkvoxtest.Kind]int{}
	for _, r := range a.Records {
		given[r.Fault]++
	}
	if s.Faults > 0 {
		fmt.Fprintln(d.out, "\nThe vendor failed these requests. Each call succeeded when it was tried again:")
	}
	for _, f := range demoPassing {
		if n := given[f.Kind]; n > 0 {
			fmt.Fprintf(d.out, "  %3d  %s\n", n, f.words)
		}
	}
	if s.Extra > 0 {
		fmt.Fprintln(d.out, "\nAn extra request repeats a call that had already succeeded: its first answer never\narrived, so nobody could know. That is what \"at least once\" means.")
	}
	return nil
}
