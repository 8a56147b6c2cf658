package wolkvoxtest

import (
	"slices"
)

// Of returns the totals of a token, zero if it was not seen. If the account is Hashed, token may be the token or its
// TokenHash.
func (a Account) Of(token string) Totals {
	if t := a.Tokens[a.key(token)]; t != nil {
		return *t
	}
	return Totals{}
}

// Requests returns the records of a call, in the order of arrival.
func (a Account) Requests(call string) []Record {
	return a.filter(func(r Record) bool { return r.Call == call })
}

// RequestsOf returns the records of a token, in the order of arrival.
func (a Account) RequestsOf(token string) []Record {
	key := a.key(token)
	return a.filter(func(r Record) bool { return r.Token == key })
}

// Successes returns the records of requests that were done, in the order of arrival.
func (a Account) Successes() []Record {
	return a.filter(func(r Record) bool { return r.Success })
}

// Accused returns the records with a violation of that name, ViolationPath for example, in the order of arrival.
func (a Account) Accused(violation string) []Record {
	return a.filter(func(r Record) bool { return slices.Contains(r.Violations, violation) })
}

// UnknownOutcomes returns the records of requests whose outcome the caller can't know (Record.Unknown), in the order of
// arrival.
func (a Account) UnknownOutcomes() []Record { return a.filter(Record.Unknown) }

// Succeeded says whether the call has been done at least once.
func (a Account) Succeeded(call string) bool {
	return slices.ContainsFunc(a.Records, func(r Record) bool { return r.Call == call && r.Success })
}

func (a Account) key(token string) string {
	if !a.Hashed || a.Tokens[token] != nil {
		return token
	}
	return TokenHash(token)
}

func (a Account) filter(keep func(Record) bool) []Record {
	var out []Record
	for _, r := range a.Records {
		if keep(r) {
			out = append(out, r)
		}
	}
	return out
}

// byCall returns the indexes of each call's records, in the order of arrival.
func (a Account) byCall() map[string][]int {
	calls := make(map[string][]int)
	for i, r := range a.Records {
		if r.Call != "" {
			calls[r.Call] = append(calls[r.Call], i)
		}
	}
	return calls
}

// firstEnd returns the success that ended first, of the records with these indexes.
func (a Account) firstEnd(indexes []int) (first Record, ok bool) {
	for _, i := range indexes {
		if r := a.Records[i]; r.Success && r.EndSeq != 0 && (!ok || r.EndSeq < first.EndSeq) {
			first, ok = r, true
		}
	}
	return first, ok
}
