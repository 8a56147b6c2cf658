package wolkvox

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestKindOf(t *testing.T) {
	const (
		limit = "TOKEN LIMIT EXCEEDED"
		sim   = "EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN (2)"
		bad   = "PLEASE VALIDATE TOKEN"
	)
	for _, c := range []struct {
		status, code int
		msg, err     string
		want         Kind
	}{
		{403, 403, limit, "FORBIDDEN", TokenLimit},
		{403, 403, "FORBIDDEN", limit, TokenLimit},
		{403, 403, sim, "", SimultaneousLimit},
		{403, 403, bad, "", BadToken},
		{403, 403, "  please\n validate\t\u00a0token. ", "", BadToken},
		{403, 403, bad, sim, SimultaneousLimit},
		{403, 403, bad, limit, TokenLimit},
		{403, 403, "we are in maintenance", "", UnknownForbidden},
		{403, 0, "", "", UnknownForbidden},
		{403, 0, limit, "", TokenLimit},
		{200, 403, limit, "", TokenLimit},
		{200, 403, "backup", "", UnknownForbidden},
		{403, 200, "backup", "", UnknownForbidden},
		{403, 202, "ok", "", UnknownForbidden},
		{400, 400, "", "", BadRequest},
		{401, 401, "", "", MissingToken},
		{404, 404, "", "", NotFound},
		{405, 405, "", "", MethodNotAllowed},
		{429, 429, "", "", TooMany},
		{429, 0, "", "", TooMany},
		{500, 500, "", "", ServerFailure},
		{503, 0, "", "", ServerFailure},
		{599, 0, "", "", ServerFailure},
		{200, 500, "", "", ServerFailure},
		{500, 200, "", "", ServerFailure},
		{500, 500, bad, "", ServerFailure},
		{200, 500, bad, "", ServerFailure},
		{502, 404, "", "", ServerFailure},
		{404, 502, "", "", ServerFailure},
		{403, 500, limit, "", TokenLimit},
		{400, 403, "", "", UnknownForbidden},
		{400, 403, bad, "", BadToken},
		{400, 400, bad, "", BadToken},
		{401, 429, "", "", TooMany},
		{404, 400, "", "", NotFound},
		{302, 0, "", "", Other},
		{418, 0, "", "", Other},
		{600, 0, "", "", Other},
		{200, 202, "", "something", Other},
		{200, 202, "", limit, TokenLimit},
		{203, 202, "", "", Other},
		{200, 302, "", "", Other},
		{200, 0, sim, "", SimultaneousLimit},
	} {
		if got := kindOf(c.status, c.code, c.msg, c.err); got != c.want {
			t.Errorf("kindOf(%d, %d, %q, %q) = %s, want %s", c.status, c.code, c.msg, c.err, got, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		text, sent string
		want       time.Duration
	}{
		{"", "", 0}, {"0", "", 0}, {"7", "", 7 * time.Second}, {" 7 ", "", 7 * time.Second},
		{"-7", "", 0}, {"1.5", "", 0}, {"soon", "", 0}, {"٧", "", 0},
		{"3600", "", time.Hour}, {"3601", "", time.Hour}, {strings.Repeat("9", 60), "", time.Hour},
		{date(time.Minute), "", time.Minute}, {date(-time.Minute), "", 0}, {date(48 * time.Hour), "", time.Hour},
		{date(time.Minute), date(30 * time.Second), 30 * time.Second}, {date(time.Minute), "junk", time.Minute},
	} {
		h := http.Header{"Retry-After": {c.text}, "Date": {c.sent}}
		if got := retryAfter(h, now); got != c.want {
			t.Errorf("Retry-After %q, Date %q: %s, want %s", c.text, c.sent, got, c.want)
		}
	}
	if retryAfter(http.Header{}, now) != 0 {
		t.Error("none")
	}
}
