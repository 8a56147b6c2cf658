package engine

import "time"

// Start is when calls are to begin: not before At, or when In has passed. With the zero value, nobody said when.
type Start struct {
	At time.Time
	In time.Duration
}

// StartError says what is wrong with at or in.
type StartError struct{ Field, Problem string }

func (e *StartError) Error() string { return e.Field + ": " + e.Problem }

// WantTime says what a time to begin at has to be.
const WantTime = "want a time such as 2026-11-24T02:00:00-05:00, at most ten years ahead"

// ParseStart reads when calls start: "at" (a time, RFC 3339) or "in" (a duration such as 10m), but not both. given
// returns the text under a name, and whether there is one. The error is a *StartError.
func ParseStart(given func(name string) (text string, is bool)) (s Start, err error) {
	at, hasAt := given("at")
	in, hasIn := given("in")
	switch {
	case hasAt && hasIn:
		return s, &StartError{"at", "is given together with in: give one of them"}
	case hasAt:
		if s.At, err = time.Parse(time.RFC3339, at); err != nil || TooFar(s.At) {
			return Start{}, &StartError{"at", WantTime}
		}
	case hasIn:
		if s.In, err = time.ParseDuration(in); err != nil || s.In < 0 || s.In > MaxAhead {
			return Start{}, &StartError{"in", "want a duration such as 10m or 2h, at most ten years"}
		}
		s.In = max(s.In, 1) // 0s means now, and not that nobody said when
	}
	return s, nil
}

// Time is the start, with In to the millisecond. now is by the clock of Redis, since this machine's may be off. A start
// that has passed means now. Zero: none was given.
func (s Start) Time(now time.Time) time.Time {
	if s.In == 0 {
		return s.At
	}
	return now.Add(s.In).Truncate(time.Millisecond)
}
