package wolkvoxtest

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Record is what the vendor knows about one request. A Script sees what is known at the arrival. The log has its JSON.
type Record struct {
	// Seq numbers the arrival and EndSeq the end of the work, both from one counter that starts at 1. EndSeq is 0 while
	// the vendor works on it.
	Seq    int64 `json:"seq"`
	EndSeq int64 `json:"end_seq,omitempty"`
	// Arrived and Ended are by the vendor's clock; Ended is zero while the vendor works on it.
	Arrived time.Time `json:"arrived,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`

	Server string `json:"server,omitempty"` // four digits; empty if the address named none
	// Token is as it was sent; in the log, and in an account that was read from it, it is the TokenHash.
	Token     string `json:"token,omitempty"`
	API       string `json:"api,omitempty"`
	RequestID string `json:"request_id,omitempty"` // the X-Request-ID header
	Call      string `json:"call,omitempty"`       // RequestID up to its last dot, or all of it if no number follows
	Attempt   int    `json:"attempt,omitempty"`    // the number after RequestID's last dot; 0: none

	TokenNth int `json:"token_nth,omitempty"` // 1 for the first request of the token that passed the checks
	// CallNth is 1 for the first request of the call that passed the checks. With Options.CountersOnly it is Attempt; without a
	// Call it is 0.
	CallNth  int    `json:"call_nth,omitempty"`
	InFlight int    `json:"in_flight,omitempty"` // requests of the token in flight at the arrival, this one included
	Day      string `json:"day,omitempty"`       // the vendor's day, as 2006-01-02
	DayCount int    `json:"day_count,omitempty"` // requests of the token on that day, this one included
	Quota    int    `json:"quota,omitempty"`     // what the token was allowed on that day; 0 for a bad token

	Fault      Kind     `json:"fault,omitempty"`      // from the script
	Violations []string `json:"violations,omitempty"` // what was wrong with the request at its arrival; see ViolationSlots and others
	Status     int      `json:"status,omitempty"`     // HTTP status answered; 0: no answer, or not yet
	Success    bool     `json:"success,omitempty"`    // the vendor did what it was asked: the module was enabled
	Gone       bool     `json:"gone,omitempty"`       // the caller had gone when the work ended
	Hidden     bool     `json:"hidden,omitempty"`     // the fault kept the success from the caller
}

// Unknown says whether the caller can't know what came of the request: the vendor still works on it, it was done but the
// answer was kept back or spoilt, the connection was reset, or the caller had gone.
func (r Record) Unknown() bool {
	switch r.Fault {
	case ResetBefore, ResetAfter, Cut:
		return true
	}
	return r.EndSeq == 0 || r.Gone || r.Hidden
}

// Totals are counters over all requests, or over those of one token.
type Totals struct {
	Requests    int
	Successes   int // modules enabled
	Faults      int // requests that the script gave a fault
	Refused     int // requests with violations
	Gone        int // requests whose caller had gone before the end
	InFlight    int // now
	MaxInFlight int // most requests of one token in flight at the same time
	OverSlots   int // arrivals with more than SlotLimit of the token in flight
	OverQuota   int // arrivals over the day's quota
}

// Account is what the vendor saw. Simulator.Account and ReadAccount return one that is the caller's own; Simulator.Wait
// gives its function the live one. It is not safe for use while it is being written to.
type Account struct {
	// Records are in the order of arrival. With Partial they are only those with violations.
	Records []Record
	Totals  Totals
	// Tokens has the totals of each token, by the token or, if Hashed, by its TokenHash. Requests without a token are not
	// in it.
	Tokens map[string]*Totals
	// Hashed says that the account was read from a file, and has hashes instead of tokens.
	Hashed bool
	// Partial says that records were left out (Options.CountersOnly): judges that need them all report that they can't
	// judge.
	Partial bool
}

// NewAccount makes an account of records, in any order. From Seq, EndSeq, Token and Day it works out the totals, and
// InFlight and DayCount if they are 0.
func NewAccount(records ...Record) Account {
	type event struct {
		seq   int64
		index int
		end   bool
	}
	records = slices.Clone(records)
	var events []event
	for i, r := range records {
		events = append(events, event{r.Seq, i, false})
		if r.EndSeq != 0 {
			events = append(events, event{r.EndSeq, i, true})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.seq, b.seq) })

	b := newBook(false)
	kept := make([]int, len(records))
	days := map[[2]string]int{}
	for _, e := range events {
		r := &records[e.index]
		if e.end {
			b.end(kept[e.index], *r)
			continue
		}
		day := [2]string{r.Token, r.Day}
		days[day]++
		if r.DayCount == 0 {
			r.DayCount = days[day]
		}
		if r.InFlight == 0 {
			r.InFlight = 1
			if t := b.Tokens[r.Token]; t != nil {
				r.InFlight += t.InFlight
			}
		}
		kept[e.index] = b.arrive(*r)
	}
	return b.Account
}

// clone makes a copy. It shares only what is never written to again.
func (a Account) clone() Account {
	a.Records = slices.Clone(a.Records)
	a.Tokens = maps.Clone(a.Tokens)
	for token, t := range a.Tokens {
		copied := *t
		a.Tokens[token] = &copied
	}
	return a
}

// book is an account that is being written.
type book struct {
	Account
}

func newBook(countersOnly bool) book {
	return book{Account{Tokens: map[string]*Totals{}, Partial: countersOnly}}
}

// notKept is the index of a record that is only counted.
const notKept = -1

// arrive enters a request and returns its index for end.
func (b *book) arrive(r Record) int {
	for _, t := range b.totals(r.Token) {
		t.Requests++
		t.InFlight++
		if r.Fault != None {
			t.Faults++
		}
		if len(r.Violations) > 0 {
			t.Refused++
		}
		if r.InFlight > SlotLimit {
			t.OverSlots++
		}
		if r.overQuota() {
			t.OverQuota++
		}
	}
	if t := b.Tokens[r.Token]; t != nil {
		t.MaxInFlight = max(t.MaxInFlight, t.InFlight)
		b.Totals.MaxInFlight = max(b.Totals.MaxInFlight, t.MaxInFlight)
	}
	if b.Partial && (len(r.Violations) == 0 || len(b.Records) >= MaxKeptViolations) {
		return notKept
	}
	b.Records = append(b.Records, r)
	return len(b.Records) - 1
}

// end enters the end of the work on a request that arrive entered under index.
func (b *book) end(index int, r Record) {
	for _, t := range b.totals(r.Token) {
		t.InFlight--
		if r.Success {
			t.Successes++
		}
		if r.Gone {
			t.Gone++
		}
	}
	if index != notKept {
		b.Records[index] = r
	}
}

func (b *book) totals(token string) []*Totals {
	if token == "" {
		return []*Totals{&b.Totals}
	}
	t := b.Tokens[token]
	if t == nil {
		t = &Totals{}
		b.Tokens[token] = t
	}
	return []*Totals{&b.Totals, t}
}

func (r Record) overQuota() bool { return r.Quota > 0 && r.DayCount > r.Quota }
