package operator

import (
	"regexp"
	"strings"
)

// Why a call failed, as Cause tells it.
const (
	CauseBadToken     = "bad_token"     // the vendor refuses the token
	CauseMissingToken = "missing_token" // the vendor says that there is none
	CauseKeyGone      = "key_gone"      // our sealing key of the token is missing
	CauseUnopenable   = "unopenable"    // the token's sealed form is damaged
	CauseOther        = "other"         // none that is known
)

// causes are the others, each told apart by the beginning of what the ledger keeps.
var causes = []struct{ beginning, cause string }{
	{"wolkvox: request not sent", "not_sent"},
	{"wolkvox: outcome unknown", "unknown"},
	{"wolkvox: answer can't be read", "unreadable"},
	{"token can't be opened: sealing key", CauseKeyGone},
	{"token can't be opened", CauseUnopenable},
	{"unknown outcome: the worker was lost", "lost"},
}

// refused are those that the vendor's client tells as its kind of refusal.
var refused = []string{CauseBadToken, "token_limit", "simultaneous_limit", "forbidden", "bad_request", CauseMissingToken, "not_found",
	"method_not_allowed", "too_many", "server_error"}

// Causes are all that Cause may say of a call that failed.
func Causes() []string {
	all := append([]string{}, refused...)
	for _, c := range causes {
		all = append(all, c.cause)
	}
	return append(all, CauseOther)
}

var (
	givenUp     = regexp.MustCompile(`^given up(?: after \d+ attempts|: pushed back since \S+): `)
	refusedKind = regexp.MustCompile(`^wolkvox: refused \((\w+)\)`)
)

// Cause is why a call failed, as one word; "" where it has no error. The ledger keeps the
// text alone of an error: this is the one place that tells texts apart, for people to read
// and to act on alike ones together.
func Cause(r CallRecord) string {
	text := r.Error
	if text == "" {
		return ""
	}
	text = strings.TrimPrefix(text, givenUp.FindString(text))
	if m := refusedKind.FindStringSubmatch(text); m != nil {
		for _, kind := range refused {
			if kind == m[1] {
				return kind
			}
		}
		return CauseOther
	}
	for _, c := range causes {
		if strings.HasPrefix(text, c.beginning) {
			return c.cause
		}
	}
	return CauseOther
}
