package e2e

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"habilita/internal/control"
	"habilita/internal/testkit/wolkvoxtest"
)

// Terms are what Judge allows.
type Terms struct {
	// Lost is how many requests were in flight when something was killed: each may
	// explain one extra request.
	Lost int
	// Unsent is how many attempts may have been counted at their grant but not sent,
	// because the worker, or the answer to it, was lost in between.
	Unsent int
	// Open allows calls that are still open and not behind a held head, such as those
	// that wait for tomorrow's quota.
	Open bool
	// Unrecorded are the times in which an answer could not be recorded, such as the last
	// moments of a worker that was killed. A request that was answered in one may be made
	// again, because habilita does not know its outcome.
	Unrecorded []Window
	// LostWrites says that Redis lost what was written during Unrecorded: the report may
	// have fewer attempts than the vendor counted, and attempt numbers may be used again.
	LostWrites bool
}

// Window is a time in which answers came that could not be recorded.
type Window struct {
	From, To time.Time
	// Sent limits it to requests that had arrived at the vendor by then: those of a
	// worker that has stood still since. Zero: all.
	Sent time.Time
}

// unrecorded reports whether r was answered in a window.
func (t Terms) unrecorded(r wolkvoxtest.Record) bool {
	return slices.ContainsFunc(t.Unrecorded, func(w Window) bool {
		return !r.Ended.Before(w.From) && !r.Ended.After(w.To) && (w.Sent.IsZero() || !r.Arrived.After(w.Sent))
	})
}

// Verdict is what Judge found.
type Verdict struct {
	Broken []string       // one line for each promise that was broken, "I2: ..."; none if all were kept
	Counts map[string]int // violations of each promise that was broken

	Calls, Succeeded, Failed, Skipped, Cancelled, Open int
	Requests, Extra, Unknown                           int // of the vendor's account
	Unrecorded                                         int // answers in Terms.Unrecorded after which the call was made again
	MaxInFlight                                        int
}

const maxShown = 5 // violations of a kind that are shown one by one

func (v *Verdict) add(promise string, n int, example func(i int) string) {
	if n == 0 {
		return
	}
	if v.Counts == nil {
		v.Counts = map[string]int{}
	}
	v.Counts[promise] += n
	var shown []string
	for i := range min(n, maxShown) {
		shown = append(shown, example(i))
	}
	v.Broken = append(v.Broken, fmt.Sprintf("%s: %d violations: %s", promise, n, strings.Join(shown, " | ")))
}

func (v *Verdict) addAll(promise string, all []string) {
	v.add(promise, len(all), func(i int) string { return all[i] })
}

func (v *Verdict) violations(promise string, all []wolkvoxtest.Violation) {
	v.add(promise, len(all), func(i int) string { return all[i].String() })
}

// Judge judges I1 to I6 from the vendor's account and the reports of all plans.
func (l *Lab) Judge(t Terms, plans ...Plan) Verdict {
	l.TB.Helper()
	reports := make([][]control.CallRecord, len(plans))
	for i, p := range plans {
		reports[i] = l.Report(p.Batch)
	}
	return Judge(l.Vendor.Account(), t, plans, reports)
}

// MustKeep is Judge, and fails the test if a promise was broken.
func (l *Lab) MustKeep(t Terms, plans ...Plan) Verdict {
	l.TB.Helper()
	v := l.Judge(t, plans...)
	for _, b := range v.Broken {
		l.TB.Error(b)
	}
	return v
}

// Judge judges I1 to I6 from the vendor's account and a report of each plan.
func Judge(a wolkvoxtest.Account, t Terms, plans []Plan, reports [][]control.CallRecord) Verdict {
	v := Verdict{Requests: a.Totals.Requests, MaxInFlight: a.Totals.MaxInFlight, Extra: len(a.Extra()), Unknown: len(a.UnknownOutcomes())}
	v.violations("I1", a.OverSlots())
	v.violations("I3", a.OverQuota())
	all := map[string]control.CallRecord{}
	for i, calls := range reports {
		v.addAll("I6", missing(plans[i], calls))
		for _, c := range calls {
			all[c.ID] = c
		}
		order, every := chainIDs(calls)
		v.violations("I2", t.explainOrder(a, a.OrderViolations(order)))
		v.violations("I2", a.OverlapViolations(every))
		v.addAll("I4", v.endings(calls, t))
	}
	v.addAll("I5", attempts(a, all, t))
	needless, explained := needless(a, t)
	v.Unrecorded = explained
	if len(needless) > t.Lost {
		v.addAll("I5", needless)
	}
	if twice, unknown := len(a.DuplicateSuccesses()), v.Unknown+v.Unrecorded+t.Lost; twice > unknown {
		v.addAll("I5", []string{fmt.Sprintf("%d calls were done again, %d outcomes were unknown", twice, unknown)})
	}
	v.violations("I5", t.explainRepeats(a, a.RepeatedIDs()))
	v.addAll("I4", untrue(a, all))
	return v
}

// chainIDs returns the chains of a report twice: only the calls for which the next one
// had to wait (not for skipped, failed and cancelled ones), and all calls.
func chainIDs(calls []control.CallRecord) (order, every [][]string) {
	for _, chain := range chainsOf(calls) {
		var bound, ids []string
		for _, c := range chain {
			ids = append(ids, c.ID)
			if c.State != "skipped" && c.State != "cancelled" && c.State != "failed" {
				bound = append(bound, c.ID)
			}
		}
		order, every = append(order, bound), append(every, ids)
	}
	return order, every
}

// missing returns the rows of the plan that the report lacks, or has twice.
func missing(p Plan, calls []control.CallRecord) []string {
	seen := map[string]int{}
	for _, c := range calls {
		seen[c.Ref]++
	}
	var out []string
	for i := range p.Rows {
		if n := seen[refOf(i)]; n != 1 {
			out = append(out, fmt.Sprintf("row %d of %s is %d times in the report", i, p.Batch, n))
		}
	}
	if len(calls) > len(p.Rows) {
		out = append(out, fmt.Sprintf("%d calls in the report of %s, %d were enqueued", len(calls), p.Batch, len(p.Rows)))
	}
	return out
}

// endings counts how calls ended, and returns those that did not end as promised.
func (v *Verdict) endings(calls []control.CallRecord, t Terms) []string {
	var out []string
	for _, chain := range chainsOf(calls) {
		held := false // an earlier call of the chain was given up, and still is
		for _, c := range chain {
			v.Calls++
			switch c.State {
			case "succeeded":
				v.Succeeded++
			case "skipped":
				v.Skipped++
			case "cancelled":
				v.Cancelled++
			case "failed":
				v.Failed++
				held = true
				if c.Error == "" && c.Msg == "" {
					out = append(out, fmt.Sprintf("%s was given up for no reason that report tells", c.ID))
				}
			default:
				v.Open++
				if !held && !t.Open {
					out = append(out, fmt.Sprintf("%s is %s, and nothing before it is held (%s)", c.ID, c.State, c.Error))
				}
			}
		}
	}
	return out
}

// needless returns the requests of a call whose previous request had succeeded and been
// answered so. If that answer could not be recorded, it only counts them. (A request after a
// failure is needed, even if an earlier, unknown outcome was a success.)
func needless(a wolkvoxtest.Account, t Terms) (out []string, explained int) {
	last := map[string]wolkvoxtest.Record{}
	for _, r := range a.Records {
		before, ok := last[r.Call]
		switch {
		case !ok || !before.Success || before.Unknown():
		case t.unrecorded(before):
			explained++
		default:
			out = append(out, fmt.Sprintf("request %d of %q came after request %d had been answered with success", r.Seq, r.Call, before.Seq))
		}
		last[r.Call] = r
	}
	return out, explained
}

// explainRepeats leaves out ids that were used again because Redis had lost their first
// use.
func (t Terms) explainRepeats(a wolkvoxtest.Account, all []wolkvoxtest.Violation) []wolkvoxtest.Violation {
	if !t.LostWrites || len(all) == 0 {
		return all
	}
	lost := map[int64]bool{}
	for _, r := range a.Records {
		lost[r.Seq] = t.unrecorded(r)
	}
	return slices.DeleteFunc(all, func(v wolkvoxtest.Violation) bool { return lost[v.OtherSeq] })
}

// explainOrder leaves out calls that were made again after a later one of their chain,
// because Redis had lost that they had succeeded.
func (t Terms) explainOrder(a wolkvoxtest.Account, all []wolkvoxtest.Violation) []wolkvoxtest.Violation {
	if !t.LostWrites || len(all) == 0 {
		return all
	}
	lost := map[string]bool{}
	for _, r := range a.Records {
		lost[r.Call] = lost[r.Call] || r.Success && t.unrecorded(r)
	}
	return slices.DeleteFunc(all, func(v wolkvoxtest.Violation) bool {
		return strings.HasPrefix(v.Detail, "arrived after") && lost[v.Call]
	})
}

// attempts compares the attempts of the report with the requests of the account.
func attempts(a wolkvoxtest.Account, all map[string]control.CallRecord, t Terms) []string {
	requests := map[string]int{}
	for _, r := range a.Records {
		requests[r.Call]++
	}
	var out []string
	diff := 0
	for id, c := range all {
		n := requests[id]
		delete(requests, id)
		switch {
		case n == c.Attempts:
		case c.Attempts > n:
			// Counted at the grant, but the worker was killed before it sent.
			diff += c.Attempts - n
			if diff > t.Lost+t.Unsent && !t.LostWrites {
				out = append(out, fmt.Sprintf("%s: %d attempts in the report, %d requests at the vendor", id, c.Attempts, n))
			}
		case !t.LostWrites:
			out = append(out, fmt.Sprintf("%s: %d attempts in the report, %d requests at the vendor", id, c.Attempts, n))
		}
	}
	for id, n := range requests {
		out = append(out, fmt.Sprintf("%d requests of %q, which no report knows", n, id))
	}
	return out
}

// untrue returns the calls that succeeded by the report, but that the vendor did not do.
func untrue(a wolkvoxtest.Account, all map[string]control.CallRecord) []string {
	done := map[string]bool{}
	for _, r := range a.Successes() {
		done[r.Call] = true
	}
	var out []string
	for id, c := range all {
		if c.Succeeded() && !done[id] {
			out = append(out, id+" succeeded by the report, and the vendor knows nothing of it")
		}
	}
	return out
}
