package console

import (
	"cmp"
	"slices"
	"strings"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/wolkvox"
)

// Why a call was given up that may be tried again, by the code of what went wrong.
var (
	attemptsSpent = []string{string(wolkvox.ServerFailure), string(wolkvox.Other), ledger.ReasonUnreadable, ledger.ReasonUnknown}
	putOffTooLong = []string{string(wolkvox.TokenLimit), string(wolkvox.SimultaneousLimit), string(wolkvox.TooMany),
		string(wolkvox.UnknownForbidden), ledger.ReasonNotSent}
)

// cause says in plain words why a call failed; "" if it did not.
func (w *words) cause(r control.CallRecord) string {
	why := control.Cause(r)
	if why == "" {
		return ""
	}
	said := w.sayOr("cause."+why, "")
	switch {
	case r.State != ledger.StateFailed:
	case slices.Contains(attemptsSpent, r.Reason):
		said += " " + w.sayOr("cause.attempts", "", r.Attempts)
	case slices.Contains(putOffTooLong, r.Reason):
		said += " " + w.sayOr("cause.pushed", "")
	}
	return said
}

// advice says what to do about calls that failed for a cause; "" if there is nothing
// better than to try again.
func (w *words) advice(cause string) string { return w.sayOr("advice."+cause, "") }

// reason says in plain words why a chain does not go on just now.
func (w *words) reason(c control.Chain) string {
	if c.Reason == "" {
		return w.sayOr("chain."+c.State, w.sayOr("reason.other", ""))
	}
	said := w.sayOr("reason."+c.Reason, w.sayOr("reason.other", ""))
	switch c.Reason {
	case "held", "back-off", "push-back":
		if why := w.cause(c.Head); why != "" {
			said += ": " + why
		}
	case "cooling":
		said += ": " + w.cooling(c.Cooling)
	}
	return said
}

// cooling says in plain words why a token cools down, by the code of the reason.
func (w *words) cooling(reason string) string {
	return w.sayOr("cooling."+reason, w.sayOr("cooling.other", ""))
}

// target puts into words what somebody acted on, as the audit log keeps it
// (control.Selection's String). A text of an unknown form, such as one that a newer version
// wrote, is shown as it is.
func (w *words) target(t string) string {
	switch t {
	case (control.Selection{All: true}).String():
		return w.sayOr("target.all", t)
	case "all tokens":
		return w.sayOr("target.tokens", t)
	}
	what, name, _ := strings.Cut(t, " ")
	switch what {
	case "chain", "token":
		name = short(name)
	case "cause":
		cause, of, _ := strings.Cut(name, " of ")
		return w.target(of) + ": " + w.sayOr("cause."+cause, cause)
	}
	return w.sayOr("target."+what, t, name)
}

// who is who acted. If nobody knows, it says so in the language of the page.
func (w *words) who(name string) string {
	if name == control.Unknown {
		return w.sayOr("who.unknown", name)
	}
	return name
}

// result puts the result of an action into words. It leaves out the prose of a failure, which is in one language and may
// name commands. An entry of an older version has nothing else.
func (w *words) result(e control.AuditEntry) string {
	if e.Ended == "" {
		return e.Result
	}
	said := w.sayOr("result."+e.Ended, e.Result)
	switch {
	case e.Unit != "":
		said = w.sayOr("count."+e.Unit+"s", e.Result, cmp.Or(e.Of, e.Count))
		if e.Of > 0 {
			said += "; " + w.sayOr("result.of."+e.Unit, e.Result, e.Count)
		}
		if e.Pruned > 0 {
			said += "; " + w.sayOr("result.pruned", e.Result, e.Pruned)
		}
		if e.Replaced > 0 {
			said += "; " + w.sayOr("result.replaced", e.Result, e.Replaced)
		}
		if e.Ended == control.EndedFailed {
			said = w.sayOr("result.failed_after", e.Result, said)
		}
	case e.Place != "":
		said = w.target(e.Place)
	}
	if e.Unread > 0 {
		said += "; " + w.sayOr("result.unread", e.Result, e.Unread)
	}
	return said
}
