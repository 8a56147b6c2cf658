package main

import (
	"fmt"
	"strings"

	"habilita/internal/control"
	"habilita/internal/testkit/wolkvoxtest"
)

// lost finds calls that the ledger and the vendor do not agree on, in words: those that
// have no record, and those that are said to be done and are not.
func lost(plan *demoPlan, report map[callKey]control.CallRecord, a wolkvoxtest.Account) []string {
	did := map[string]bool{}
	for _, r := range a.Records {
		if r.Success {
			did[r.Call] = true
		}
	}
	missing, lies := 0, 0
	for _, c := range plan.calls {
		r, ok := report[callKey{c.tokenID, c.id}]
		switch {
		case !ok:
			missing++
		case r.Succeeded() && !did[judged(c.Token, c.id)]:
			lies++
		}
	}
	var out []string
	if missing > 0 {
		out = append(out, count(missing, "call")+" of the file can't be found any more")
	}
	if lies > 0 {
		out = append(out, count(lies, "call")+" said to have succeeded that the vendor never did")
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
		fmt.Fprintln(d.out, "\nThe faults that it gave, each of which passed when the call was tried again:")
	}
	for _, f := range demoPassing {
		if n := given[f.Kind]; n > 0 {
			fmt.Fprintf(d.out, "  %3d  %s\n", n, faultWords[f.Kind])
		}
	}
	if s.Extra > 0 {
		fmt.Fprintln(d.out, "\nAn extra request is one for a call that had succeeded already: its first answer never\narrived, so nobody could know. That is \"at least once\", and why it is said so.")
	}
	return nil
}
