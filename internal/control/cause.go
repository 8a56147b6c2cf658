package control

import (
	"cmp"
	"slices"

	"habilita/internal/ledger"
	"habilita/internal/wolkvox"
)

// CauseOther is the cause of every call that failed for an unknown reason, or that has no
// code because an older version kept it.
const CauseOther = string(wolkvox.Other)

// causes are the codes of what can go wrong.
var causes = []string{
	string(wolkvox.BadToken), string(wolkvox.TokenLimit), string(wolkvox.SimultaneousLimit), string(wolkvox.UnknownForbidden),
	string(wolkvox.BadRequest), string(wolkvox.MissingToken), string(wolkvox.NotFound), string(wolkvox.MethodNotAllowed),
	string(wolkvox.TooMany), string(wolkvox.ServerFailure),
	ledger.ReasonUnknown, ledger.ReasonUnreadable, ledger.ReasonNotSent, ledger.ReasonUnopenable, CauseOther,
}

// Causes returns everything that Cause may return for a call that failed.
func Causes() []string { return slices.Clone(causes) }

// Cause says in one word why a call failed: its code, or CauseOther if that is not known. It is "" if
// the call has neither a code nor an error.
func Cause(r CallRecord) string {
	switch {
	case slices.Contains(causes, r.Reason):
		return r.Reason
	case r.Reason == "" && r.Error == "":
		return ""
	}
	return CauseOther
}

// Remedy is the kind of thing that a person does about a call that was given up.
type Remedy string

// The remedies.
const (
	RemedyRetry Remedy = "retry" // try again, once what was wrong is over
	RemedyToken Remedy = "token" // correct the token: every other call with it fails as well
	RemedyKey   Remedy = "key"   // put the sealing key back: no call of the token can be made before
	RemedyAsk   Remedy = "ask"   // see what the vendor says of the request, then try again
	RemedyLook  Remedy = "look"  // find out at the vendor whether it was done: then skip, else try again
)

var remedies = map[string]Remedy{
	string(wolkvox.BadToken): RemedyToken, string(wolkvox.MissingToken): RemedyToken,
	ledger.ReasonUnopenable:    RemedyKey,
	string(wolkvox.BadRequest): RemedyAsk, string(wolkvox.NotFound): RemedyAsk, string(wolkvox.MethodNotAllowed): RemedyAsk,
	ledger.ReasonUnknown: RemedyLook,
}

// RemedyOf is the remedy for a cause.
func RemedyOf(cause string) Remedy { return cmp.Or(remedies[cause], RemedyRetry) }

// Futile reports whether skipping a call does not help, since the next call of its token fails for the same reason.
func (r Remedy) Futile() bool { return r == RemedyToken || r == RemedyKey }
