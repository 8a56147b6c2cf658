package wolkvoxtest

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Summary is the account in figures.
type Summary struct {
	Totals
	Tokens          int
	Calls           int // distinct call ids; 0 for a Partial account
	Order           int // violations of each kind
	Overlap         int
	Duplicates      int // successes of a call after its first
	Extra           int // requests
	Unexplained     int // of these, those that no unknown outcome explains
	UnknownOutcomes int
	// Unjudged says that the account has counters only, so Calls and the fields after it are unknown and 0.
	Unjudged bool
}

// Summarize judges the account, with the chains as for OrderViolations; nil means no chains.
func (a Account) Summarize(chains [][]string) Summary {
	s := Summary{Totals: a.Totals, Tokens: len(a.Tokens), Unjudged: a.Partial}
	if a.Partial {
		return s
	}
	s.Calls = len(a.byCall())
	s.Order = len(a.OrderViolations(chains))
	s.Overlap = len(a.OverlapViolations(chains))
	s.Duplicates = len(a.DuplicateSuccesses())
	s.Extra = len(a.Extra())
	s.Unexplained = len(a.Unexplained())
	s.UnknownOutcomes = len(a.UnknownOutcomes())
	return s
}

// Broken lists, in words, the promises that the account shows to be broken; none for a good account. An account with
// counters only counts as broken: a promise that can't be judged is not kept.
func (s Summary) Broken() []string {
	var broken []string
	for _, c := range []struct {
		n    int
		what string
	}{
		{s.OverSlots, fmt.Sprintf("requests arrived with more than %d of their token in flight", SlotLimit)},
		{s.OverQuota, "requests were over the quota of the day"},
		{s.Order, "requests were out of order"},
		{s.Overlap, "requests overlapped with another one of their chain"},
		{s.Unexplained, "requests repeated a call that had succeeded, with no unknown outcome to explain it"},
	} {
		if c.n > 0 {
			broken = append(broken, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if s.Unjudged {
		broken = append(broken, "the account has counters only: order and repeats can't be judged")
	}
	return broken
}

// Write prints the summary as a small table.
func (s Summary) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { _, _ = fmt.Fprintf(t, "%s\t%v\n", name, value) } // errors come from Flush
	row("requests", s.Requests)
	row("successes", s.Successes)
	row("tokens", s.Tokens)
	row("most in flight for a token", fmt.Sprintf("%d (%d allowed)", s.MaxInFlight, SlotLimit))
	row("over the slots", s.OverSlots)
	row("over the quota", s.OverQuota)
	if s.Unjudged {
		row("order, repeats", "not judged")
		return t.Flush()
	}
	row("calls", s.Calls)
	row("order violations", s.Order)
	row("overlaps in a chain", s.Overlap)
	row("extra requests", fmt.Sprintf("%d (%d unknown outcomes)", s.Extra, s.UnknownOutcomes))
	row("duplicate successes", s.Duplicates)
	row("faults given", s.Faults)
	return t.Flush()
}
