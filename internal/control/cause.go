package control

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"habilita/internal/ledger"
	"habilita/internal/say"
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

// HeadLine names the call at which a chain is held.
func HeadLine(r CallRecord, batch string) string {
	parts := []string{"call " + r.ID}
	if r.Ref != "" {
		parts = append(parts, fmt.Sprintf("ref %q", r.Ref))
	}
	if r.Row > 0 {
		parts = append(parts, fmt.Sprintf("row %d", r.Row))
	}
	parts = append(parts, "server "+r.Server)
	if batch != "" {
		parts = append(parts, "batch "+batch)
	}
	return strings.Join(parts, ", ")
}

// NextStep says what a person can do about a chain that is held at a call.
func NextStep(head CallRecord, chain string, m ledger.Batch) string {
	retry := "enqueue retry --chain " + chain
	others := fmt.Sprintf("   (or: enqueue skip --chain %s; enqueue cancel --chain %s)", chain, chain)
	cause := Cause(head)
	switch RemedyOf(cause) {
	case RemedyToken:
		// Another request with the same token fails as well, and so does what stands behind it.
		return correct("token", chain, m) + "   (if it was put right at the vendor: " + retry + ")"
	case RemedyKey:
		return "put the sealing key back into HABILITA_KEYS and restart the workers, then: " + retry + "   (or: enqueue cancel --chain " + chain + ")"
	case RemedyAsk:
		if cause == string(wolkvox.NotFound) {
			return "if the server is wrong, " + correct("server", chain, m) + "   (otherwise: " + retry + ")"
		}
		return "see what the vendor says of it, then: " + retry + others
	case RemedyLook:
		return fmt.Sprintf("ask the vendor whether it was done (X-Request-ID: %s.%d), then: enqueue skip --chain %s   (or, if not: %s)",
			head.ID, head.Attempts, chain, retry)
	}
	return retry + others
}

// correct says how to put a wrong token or server right.
func correct(what, chain string, m ledger.Batch) string {
	prune := "--prune"
	if m.Holds() {
		prune = fmt.Sprintf("--canary %d --prune", m.Canary)
	}
	switch {
	case m.Name == "":
		return fmt.Sprintf("give the call again with the right %s, after: enqueue cancel --chain %s", what, chain)
	case m.Path != "": // the batch is named after it
		return fmt.Sprintf("correct the %s in the file and give it again: enqueue bulk %s %s", what, say.File(m.Path), prune)
	}
	// It came from a file under another name, over HTTP, from a schedule or a program.
	return fmt.Sprintf("correct the %s in the file and give it again: enqueue bulk FILE --batch %s %s; or over HTTP: POST /v1/batches?prune&batch=%s; if a schedule made it, also: enqueue schedule add --replace",
		what, say.Quote(m.Name), prune, url.QueryEscape(m.Name))
}
