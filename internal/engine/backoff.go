package engine

import (
	"math/rand/v2"
	"time"
)

// backOff draws the wait after the nth failure in a row (from 1): exponential with full
// jitter, evenly between low and min(high, low * 2^n).
func backOff(n int, low, high time.Duration) time.Duration {
	top := high
	if n < 40 && low<<n > 0 {
		top = min(high, low<<n)
	}
	if top <= low {
		return low
	}
	return low + rand.N(top-low)
}
