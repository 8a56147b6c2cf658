package wolkvoxtest

import (
	"cmp"
	"fmt"
	"slices"
)

// Violation is one proof that a promise was broken.
type Violation struct {
	Kind      string // which judge: "slots", "quota", "order", "overlap", "duplicate", "extra", "repeat", or "unjudged"
	TokenHash string // never the token
	Call      string // the call at fault
	Seq       int64  // of the request at fault
	Other     string // the call that it collides with; empty: none
	OtherSeq  int64  // of the request that it collides with; 0: none
	Detail    string // one sentence for people
}

// String returns the violation in one line.
func (v Violation) String() string {
	return fmt.Sprintf("%s: request %d of call %q (token %s): %s", v.Kind, v.Seq, v.Call, v.TokenHash, v.Detail)
}

// OverSlots reports each arrival with more than SlotLimit requests of its token in flight (the promise "Never above the
// slots").
func (a Account) OverSlots() []Violation {
	return a.accuse("slots", func(r Record) bool { return r.InFlight > SlotLimit }, func(r Record) string {
		return fmt.Sprintf("%d in flight, %d allowed", r.InFlight, SlotLimit)
	})
}

// OverQuota reports each arrival over its token's quota of the day. It does not count requests that others made
// (Token.Used): a caller can't know about them.
func (a Account) OverQuota() []Violation {
	return a.accuse("quota", Record.overQuota, func(r Record) string {
		return fmt.Sprintf("request %d of %s, %d allowed", r.DayCount, r.Day, r.Quota)
	})
}

func (a Account) accuse(kind string, guilty func(Record) bool, detail func(Record) string) []Violation {
	var vs []Violation
	for _, r := range a.filter(guilty) {
		vs = append(vs, a.violation(kind, r, nil, detail(r)))
	}
	return vs
}

// OrderViolations takes chains, each the ids of its calls in order. It reports every request that arrived before the
// previous call of the chain had succeeded. It also reports every request of a call that had succeeded, if it arrived
// after a later call of the chain had begun. Leave skipped and cancelled calls out of a chain: if a call never
// succeeded, the next one counts as a violation.
func (a Account) OrderViolations(chains [][]string) []Violation {
	if a.Partial {
		return unjudged("order")
	}
	var vs []Violation
	calls := a.byCall()
	for _, chain := range chains {
		for i, id := range chain[min(1, len(chain)):] {
			before := chain[i]
			succeeded, ok := a.firstEnd(calls[before])
			for _, n := range calls[id] {
				if r := a.Records[n]; !ok || r.Seq < succeeded.EndSeq {
					detail := fmt.Sprintf("arrived before %q had succeeded", before)
					vs = append(vs, a.violation("order", r, other(before, succeeded), detail))
				}
			}
		}
		vs = append(vs, a.wentBack(calls, chain)...)
	}
	return vs
}

// wentBack reports requests of a call that had succeeded, if they arrived after a later call of its chain had begun.
func (a Account) wentBack(calls map[string][]int, chain []string) []Violation {
	var vs []Violation
	var later *Record // the earliest request of a later call
	for i := len(chain) - 1; i >= 0; i-- {
		requests := calls[chain[i]]
		succeeded, ok := a.firstEnd(requests)
		for _, n := range requests {
			if r := a.Records[n]; later != nil && r.Seq > later.Seq && ok && succeeded.EndSeq < later.Seq {
				vs = append(vs, a.violation("order", r, later, fmt.Sprintf("arrived after %q was begun", later.Call)))
			}
		}
		if len(requests) > 0 {
			if first := &a.Records[requests[0]]; later == nil || first.Seq < later.Seq {
				later = first
			}
		}
	}
	return vs
}

// OverlapViolations reports every request of a chain that arrived while the vendor still worked on another one of the
// chain.
func (a Account) OverlapViolations(chains [][]string) []Violation {
	if a.Partial {
		return unjudged("overlap")
	}
	var vs []Violation
	calls := a.byCall()
	for _, chain := range chains {
		var requests []int
		for _, id := range chain {
			requests = append(requests, calls[id]...)
		}
		slices.SortFunc(requests, func(x, y int) int { return cmp.Compare(a.Records[x].Seq, a.Records[y].Seq) })
		var busy *Record // of those before, the one that ends last
		for _, n := range slices.Compact(requests) {
			r := &a.Records[n]
			if busy != nil && (busy.EndSeq == 0 || busy.EndSeq > r.Seq) {
				vs = append(vs, a.violation("overlap", *r, busy, fmt.Sprintf("arrived while request %d of %q was worked on", busy.Seq, busy.Call)))
			}
			if busy == nil || busy.EndSeq != 0 && (r.EndSeq == 0 || r.EndSeq > busy.EndSeq) {
				busy = r
			}
		}
	}
	return vs
}

// DuplicateSuccesses reports each success of a call after its first.
func (a Account) DuplicateSuccesses() []Violation {
	return a.repeats("duplicate", "succeeded again after request", func(r Record) string {
		if r.Success {
			return r.Call
		}
		return ""
	})
}

// RepeatedIDs reports each request whose X-Request-ID was seen before: the transport sent it again by itself, or two
// attempts have the same id.
func (a Account) RepeatedIDs() []Violation {
	return a.repeats("repeat", "bears the id of request", func(r Record) string { return r.RequestID })
}

// repeats reports each record whose id an earlier one has; "" means no id.
func (a Account) repeats(kind, what string, id func(Record) string) []Violation {
	if a.Partial {
		return unjudged(kind)
	}
	first := map[string]*Record{}
	var vs []Violation
	for i := range a.Records {
		r := &a.Records[i]
		switch f := first[id(*r)]; {
		case id(*r) == "":
		case f != nil:
			vs = append(vs, a.violation(kind, *r, f, fmt.Sprintf("%s %d", what, f.Seq)))
		default:
			first[id(*r)] = r
		}
	}
	return vs
}

// Extra reports the requests that were not needed: those of a call that arrived after the request by which it first
// succeeded. A request that follows one with a known failure is its retry, not extra: if the success's answer was lost
// and a repeat failed, the caller can't know that no more is needed. The promise is that there are no more extra
// requests than unknown outcomes: see Unexplained.
func (a Account) Extra() []Violation {
	return a.extra(func(int, int) bool { return true })
}

// Unexplained reports the requests of Extra that no unknown outcome of the same call explains: the n-th extra request of
// a call needs n earlier requests of the call whose outcome the caller can't know (Record.Unknown at any time). A caller
// that died after its answer was sent is not seen here, so a test that kills callers allows for one each.
func (a Account) Unexplained() []Violation {
	return a.extra(func(extra, unknown int) bool { return extra > unknown })
}

func (a Account) extra(report func(extra, unknown int) bool) []Violation {
	if a.Partial {
		return unjudged("extra")
	}
	type history struct {
		success        *Record
		extra, unknown int
		failed         bool // the request before was answered with a failure
	}
	calls := map[string]*history{}
	var vs []Violation
	for i := range a.Records {
		r := &a.Records[i]
		if r.Call == "" {
			continue
		}
		h := calls[r.Call]
		if h == nil {
			h = &history{}
			calls[r.Call] = h
		}
		if h.success != nil && !h.failed {
			h.extra++
			if report(h.extra, h.unknown) {
				vs = append(vs, a.violation("extra", *r, h.success, fmt.Sprintf("not needed after request %d", h.success.Seq)))
			}
		}
		if h.success == nil && r.Success {
			h.success = r
		}
		if r.Unknown() {
			h.unknown++
		}
		h.failed = !r.Success && !r.Unknown()
	}
	return vs
}

func unjudged(what string) []Violation {
	return []Violation{{Kind: "unjudged", Detail: "the account has counters only: " + what + " can't be judged"}}
}

func (a Account) violation(kind string, r Record, o *Record, detail string) Violation {
	v := Violation{Kind: kind, TokenHash: r.Token, Call: r.Call, Seq: r.Seq, Detail: detail}
	if !a.Hashed {
		v.TokenHash = TokenHash(r.Token)
	}
	if o != nil {
		v.Other, v.OtherSeq = o.Call, o.Seq
	}
	return v
}

// other returns the record with the call's name, even if the record is zero.
func other(call string, r Record) *Record {
	r.Call = call
	return &r
}
