package wolkvox

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter is the most that a Retry-After is believed.
const maxRetryAfter = time.Hour

// retryAfter reads a Retry-After: seconds or an HTTP date. A date is measured from
// the answer's own Date where it has one, so that our clock plays no part, else from
// now. 0 for none, for the past and for what can't be read.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if allDigits(text) {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || n > uint64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil {
		now = sent
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
