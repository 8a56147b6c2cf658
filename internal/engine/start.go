package engine

import "time"

// Start is when calls are to begin: not before At, or when In has passed. The zero value is now.
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
	}
	return s, nil
}

// Time is the start by the clock of Redis, since this machine's may be off. With In it is cut to the millisecond. Zero
// is now, also for an At that has passed.
func (s Start) Time(clock func() (time.Time, error)) (time.Time, error) {
	if s == (Start{}) {
		return time.Time{}, nil
	}
	now, err := clock()
	switch {
	case err != nil:
		return time.Time{}, err
	case s.In > 0:
		return now.Add(s.In).Truncate(time.Millisecond), nil
	case s.At.After(now):
		return s.At, nil
	}
	return time.Time{}, nil
}
