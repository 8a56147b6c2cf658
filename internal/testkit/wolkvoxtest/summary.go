package wolkvoxtest

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Summary is the account in figures.
type Summary struct {
	Requests        int `json:"requests"`
	Successes       int `json:"successes"`
	Tokens          int `json:"tokens"`
	Calls           int `json:"calls"` // distinct call ids; 0 for a Partial account
	Faults          int `json:"faults"`
	Refused         int `json:"refused"` // requests with violations of any kind
	MaxInFlight     int `json:"max_in_flight"`
	OverSlots       int `json:"over_slots"`
	OverQuota       int `json:"over_quota"`
	Order           int `json:"order_violations"`
	Overlap         int `json:"overlap_violations"`
	Duplicates      int `json:"duplicate_successes"`
	Extra           int `json:"extra_requests"`
	Unexplained     int `json:"unexplained_extra_requests"`
	UnknownOutcomes int `json:"unknown_outcomes"`
	// Unjudged says that the account has counters only, so that Order to Unexplained are not known and are 0.
	Unjudged bool `json:"unjudged"`
}

// Summarize judges the account, with the chains as for OrderViolations; nil chains are no chains.
func (a Account) Summarize(chains [][]string) Summary {
	s := Summary{
		Requests:    a.Totals.Requests,
		Successes:   a.Totals.Successes,
		Tokens:      len(a.Tokens),
		Faults:      a.Totals.Faults,
		Refused:     a.Totals.Refused,
		MaxInFlight: a.Totals.MaxInFlight,
		OverSlots:   a.Totals.OverSlots,
		OverQuota:   a.Totals.OverQuota,
		Unjudged:    a.Partial,
	}
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

// Broken lists the promises that the account shows to be broken, in words; none for a good account. An account with counters only is broken
// in this sense: what can't be judged is not kept.
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
