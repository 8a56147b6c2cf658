package control

import (
	"slices"

	"habilita/internal/ledger"
	"habilita/internal/wolkvox"
)

// CauseOther is the cause of all calls that failed for nothing that is known, or without a
// code, as an older version kept them.
const CauseOther = string(wolkvox.Other)

// causes are the codes of what goes wrong.
var causes = []string{
	string(wolkvox.BadToken), string(wolkvox.TokenLimit), string(wolkvox.SimultaneousLimit), string(wolkvox.UnknownForbidden),
	string(wolkvox.BadRequest), string(wolkvox.MissingToken), string(wolkvox.NotFound), string(wolkvox.MethodNotAllowed),
	string(wolkvox.TooMany), string(wolkvox.ServerFailure),
	ledger.ReasonUnknown, ledger.ReasonUnreadable, ledger.ReasonNotSent, ledger.ReasonUnopenable, CauseOther,
}

// Causes are all that Cause may say of a call that failed.
func Causes() []string { return slices.Clone(causes) }

// Cause is why a call failed, as one word: its code, as far as that is known; "" where it has
// neither a code nor an error.
func Cause(r CallRecord) string {
	switch {
	case slices.Contains(causes, r.Reason):
		return r.Reason
	case r.Reason == "" && r.Error == "":
		return ""
	}
	return CauseOther
}

// Remedy is what kind of thing a person does about a call that was given up.
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
func RemedyOf(cause string) Remedy {
	if r, ok := remedies[cause]; ok {
		return r
	}
	return RemedyRetry
}

// Futile reports whether skipping a call is no help: the next one of its token fails for the same.
func (r Remedy) Futile() bool { return r == RemedyToken || r == RemedyKey }
