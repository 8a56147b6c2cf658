package quota

import (
	"context"
	"errors"
	"fmt"
)

// Refusals of Raise.
var (
	// ErrTwoDays says that a grant was counted on two days, so that nobody can tell which of
	// them the vendor counts.
	ErrTwoDays = errors.New("quota: too close to midnight to tell which day the vendor counts")
	// ErrVendorCount refuses a count of the vendor's that can't be one.
	ErrVendorCount = errors.New("quota: the vendor's count must not be negative or above 1,000,000,000")
)

// OneDay reports whether the request was counted on one day alone, so that Raise can be
// told what the vendor says of it.
func (g Grant) OneDay() bool { return len(g.Days) == len("20060102") }

// maxVendorCount keeps sums far from where Lua's numbers are no longer whole.
const maxVendorCount = 1_000_000_000

// Raise sets what a token has used on the day of g to the vendor's own count, where that is
// higher than ours was: somebody else uses the token. vendor is what the vendor answered to the
// request of g, that request included. Requests of ours that the vendor may not have seen by
// then (Grant.Others, and what was granted since) are added, so the count is never too low.
// It returns our count before and after; it is never lowered. The slot of g is freed by
// Release, as always.
func (l *Limiter) Raise(ctx context.Context, g Grant, vendor int) (before, after int, err error) {
	if err := g.check(); err != nil {
		return 0, 0, err
	}
	if !g.OneDay() {
		return 0, 0, ErrTwoDays
	}
	if vendor < 0 || vendor > maxVendorCount {
		return 0, 0, ErrVendorCount
	}
	r, err := l.run(ctx, l.scripts.raise, g.Token, 3, 2, g.Token, g.Days, g.Used, g.Others, vendor)
	if err != nil {
		return 0, 0, fmt.Errorf("quota: raise: %w", err)
	}
	before, after = r.int(0), r.int(1)
	return before, after, r.err
}
