package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/localrun"
	"habilita/internal/rows"
	"habilita/internal/say"
	"habilita/internal/testkit/wolkvoxtest"
)

// maxOperations is how many operations the table shows. If there are more, those that are not
// done come first.
const maxOperations = 100

// The states of an operation in the table.
const (
	stateDone     = "done"
	stateHeld     = "held"
	stateTomorrow = "tomorrow"
	stateOpen     = "open"
)

// outcome is what became of a row.
type outcome struct {
	rows.Row
	record control.CallRecord // without an ID: it can't be found
}

// judged is the call's id for the judges: a file may give one id to several tokens.
func (o outcome) judged() string { return judged(o.Token, o.record.ID) }

func judged(token, id string) string { return wolkvoxtest.TokenHash(token) + "/" + id }

// outcomes are what became of the plan's rows, in the file's order.
func (w *demoWorld) outcomes(ctx context.Context, plan *demoPlan) ([]outcome, error) {
	report := map[int]control.CallRecord{}
	for r, err := range w.Control.Report(ctx, demoBatch) {
		if err != nil {
			return nil, err
		}
		report[r.Row] = r
	}
	var all []outcome
	for _, c := range plan.calls {
		all = append(all, outcome{c, report[c.Line]})
	}
	return all, nil
}

// tell prints the results and judges the account.
func (d *demo) tell(ctx context.Context, plan *demoPlan, w *demoWorld, state localrun.State) error {
	all, err := w.outcomes(ctx, plan)
	if err != nil {
		return err
	}
	account, err := w.account(ctx)
	if err != nil {
		return err
	}
	summary := d.judge(account, chains(all))
	broken := append(summary.Broken(), lost(all, account)...)
	d.printResults(operations(all, state), state)
	d.printWaiting(all, state, plan.source, w.options.Quota.Location)
	if err := d.printAccount(account, summary); err != nil {
		return err
	}
	if len(broken) > 0 {
		return errors.New("the vendor's account breaks a promise: " + strings.Join(broken, "; "))
	}
	fmt.Fprintln(d.out, "\nEvery promise was kept: in order, inside the limits, and nothing lost.")
	return nil
}

// chains returns the ids of the calls of each chain in the file's order, as judged gives them.
func chains(all []outcome) (out [][]string) {
	index := map[[2]string]int{}
	for _, o := range all {
		chain := [2]string{o.Token, o.Chain}
		i, ok := index[chain]
		if !ok {
			i = len(out)
			index[chain] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], o.judged())
	}
	return out
}

// lost says on how many calls the ledger and the vendor disagree: those without a record,
// and those that succeeded in the ledger but not at the vendor.
func lost(all []outcome, a wolkvoxtest.Account) (broken []string) {
	did := map[string]bool{}
	for _, r := range a.Records {
		if r.Success {
			did[r.Call] = true
		}
	}
	missing, lies := 0, 0
	for _, o := range all {
		switch {
		case o.record.ID == "":
			missing++
		case o.record.Succeeded() && !did[o.judged()]:
			lies++
		}
	}
	if missing > 0 {
		broken = append(broken, say.Count(missing, "call")+" of the file can't be found any more")
	}
	if lies > 0 {
		broken = append(broken, say.Count(lies, "call")+" said to have succeeded that the vendor never did")
	}
	return broken
}

// operation is what became of a token's calls.
type operation struct {
	tokenID, server, name      string
	calls, succeeded, attempts int
	state                      string
}

// operations adds up the calls of each token, in the file's order.
func operations(all []outcome, s localrun.State) (out []*operation) {
	byToken := map[string]*operation{}
	for _, c := range all {
		r := c.record
		o := byToken[r.TokenID]
		if o == nil {
			o = &operation{tokenID: r.TokenID, server: c.Server, name: operationName(c.Ref), state: stateDone}
			byToken[r.TokenID] = o
			out = append(out, o)
		} else if !strings.Contains(o.server, c.Server) {
			o.server += " " + c.Server
		}
		o.calls++
		o.attempts += r.Attempts
		if r.Succeeded() {
			o.succeeded++
		} else {
			o.state = stateOpen
		}
	}
	for state, chains := range map[string][]control.Chain{stateTomorrow: s.Tomorrow, stateHeld: s.Held} {
		for _, c := range chains {
			if o := byToken[c.TokenID]; o != nil && o.state != stateHeld {
				o.state = state
			}
		}
	}
	return out
}

func (d *demo) printResults(all []*operation, s localrun.State) {
	attempts := 0
	for _, o := range all {
		attempts += o.attempts
	}
	shown := all
	if len(all) > maxOperations {
		done := func(o *operation) int { return strings.Count(o.state, stateDone) }
		shown = slices.SortedStableFunc(slices.Values(all), func(a, b *operation) int { return cmp.Compare(done(a), done(b)) })[:maxOperations]
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header, t.Style().Format.Footer = text.FormatDefault, text.FormatDefault
	t.AppendHeader(table.Row{"server", "token", "operation", "calls", "succeeded", "attempts", "state"})
	t.SetColumnConfigs([]table.ColumnConfig{
		{Name: "server", WidthMax: 9, WidthMaxEnforcer: text.WrapSoft}, {Name: "operation", WidthMax: 28, WidthMaxEnforcer: text.WrapSoft},
	})
	for _, o := range shown {
		t.AppendRow(table.Row{o.server, short(o.tokenID), o.name, o.calls, o.succeeded, o.attempts, o.state})
	}
	t.AppendFooter(table.Row{"", "", say.Count(len(all), "operation"), s.Total, s.Succeeded, attempts})
	heading(d.out, "Results")
	fmt.Fprintf(d.out, "%d of %s succeeded in order; chains held: %d, chains that wait for tomorrow: %d.\n%s\n",
		s.Succeeded, say.Count(s.Total, "call"), len(s.Held), len(s.Tomorrow), t.Render())
	if n := len(all) - len(shown); n > 0 {
		fmt.Fprintf(d.out, "and %s more\n", say.Count(n, "operation"))
	}
}

func heading(w io.Writer, title string) { fmt.Fprintf(w, "\n== %s ==\n", title) }

// printWaiting says what waits for a person, and how to go on, and what waits for the vendor's next day.
func (d *demo) printWaiting(all []outcome, s localrun.State, source string, zone *time.Location) {
	names := map[string]string{}
	for _, o := range all {
		names[o.record.TokenID] = operationName(o.Ref)
	}
	tell := func(c control.Chain) {
		fmt.Fprintf(d.out, "\n  %s, server %s, token %s: %s\n", cmp.Or(names[c.TokenID], "-"), c.Head.Server, short(c.TokenID), c.Why)
	}
	if len(s.Held) > 0 {
		heading(d.out, "Held: a person decides")
		fmt.Fprintln(d.out, "A call was given up. The calls behind it in its chain wait until you decide. With a real\nRedis you do what stands behind \"next\":")
	}
	for _, c := range s.Held {
		tell(c)
		next := control.NextStep(c.Head, say.Quote(c.ID), ledger.Batch{Name: demoBatch, Path: source})
		fmt.Fprintf(d.out, "  %s; %s behind it\n  next: %s\n", control.HeadLine(c.Head, ""), say.Count(c.Behind, "call"), next)
	}
	if len(s.Tomorrow) > 0 {
		heading(d.out, "Waiting for tomorrow")
		fmt.Fprintln(d.out, "No more requests of these tokens today. Nothing is lost, nothing has failed, and nobody has\n"+
			"to do anything: they go on by themselves. A token that the vendor has closed gets a gentle\n"+
			"try before, since the vendor's day may begin at another hour than ours.")
	}
	for _, c := range s.Tomorrow {
		tell(c)
		fmt.Fprintf(d.out, "  %s of chain %s; next try at %s\n", say.Count(1+c.Behind, "call"), c.ID, c.Until.In(zone).Format("2006-01-02 15:04 -07"))
	}
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
