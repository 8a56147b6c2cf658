package console

import (
	"regexp"
	"strconv"
	"strings"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/wolkvox"
)

// How a call that may be tried again came to be given up.
const (
	endAttempts = 1 + iota // its attempts were spent
	endPutOff              // it was put off for too long
)

// endings are by the code of what went wrong. What is given up at once has none.
var endings = map[string]int{
	string(wolkvox.ServerFailure): endAttempts, string(wolkvox.Other): endAttempts,
	ledger.ReasonUnreadable: endAttempts, ledger.ReasonUnknown: endAttempts,
	string(wolkvox.TokenLimit): endPutOff, string(wolkvox.SimultaneousLimit): endPutOff,
	string(wolkvox.TooMany): endPutOff, string(wolkvox.UnknownForbidden): endPutOff, ledger.ReasonNotSent: endPutOff,
}

// cause is why a call failed, in plain words; "" where it did not.
func (w *words) cause(r control.CallRecord) string {
	why := control.Cause(r)
	if why == "" {
		return ""
	}
	said := w.sayOr("cause."+why, "")
	if r.State != string(ledger.StateFailed) {
		return said
	}
	switch endings[r.Reason] {
	case endAttempts:
		said += " " + w.sayOr("cause.attempts", "", r.Attempts)
	case endPutOff:
		said += " " + w.sayOr("cause.pushed", "")
	}
	return said
}

// advice is what to do about calls that failed for a cause; "" where there is nothing
// better than to try again.
func (w *words) advice(cause string) string { return w.sayOr("advice."+cause, "") }

// reason is why a chain does not go on just now, in plain words.
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

// cooling is why a token cools down, in plain words, by its code.
func (w *words) cooling(reason string) string {
	return w.sayOr("cooling."+reason, w.sayOr("cooling.other", ""))
}

// target is what somebody acted on, as the audit log keeps it (control.Selection's
// String), in words. What is of no known form, such as one that a newer version wrote, is
// told as it is.
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

// who is who acted; one that is not known is told in the language of the page.
func (w *words) who(name string) string {
	if name == control.Unknown {
		return w.sayOr("who.unknown", name)
	}
	return name
}

// What the commands, the API and these pages write as the result of an action.
var (
	countOf     = regexp.MustCompile(`^(\d+) (chain|call|server|token|row)s?$`)
	failedAfter = regexp.MustCompile(`^failed after (\d+ \w+|\d+ new of \d+ rows): `)
	enqueued    = regexp.MustCompile(`^(\d+) new of (\d+) rows$`)
	ofChain     = regexp.MustCompile(`^chain [^ ]+$`)
	unreadParts = regexp.MustCompile(`; (\d+) parts? of Redis could not be read$`)
	synced      = regexp.MustCompile(`^(\d+) tokens? asked about, (\d+) counts? raised`)
	madeBatch   = regexp.MustCompile(`^batch +([^\n]+)`)
)

var already = map[string]bool{"it was so already": true, "it is not paused": true, "it is paused already": true}

// result is what came of an action, in words. The prose of a command, which is of one
// language and may name other commands, is not among them.
func (w *words) result(r string) string {
	if m := countOf.FindStringSubmatch(r); m != nil {
		n, _ := strconv.Atoi(m[1])
		return w.sayOr("count."+m[2]+"s", "", n)
	}
	if m := enqueued.FindStringSubmatch(r); m != nil {
		fresh, _ := strconv.Atoi(m[1])
		rows, _ := strconv.Atoi(m[2])
		return w.sayOr("count.rows", "", rows) + "; " + w.sayOr("result.new", "", fresh)
	}
	if m := unreadParts.FindStringSubmatch(r); m != nil {
		parts, _ := strconv.Atoi(m[1])
		return w.result(strings.TrimSuffix(r, m[0])) + "; " + w.sayOr("result.unread", "", parts)
	}
	if ofChain.MatchString(r) {
		return w.target(r)
	}
	if m := failedAfter.FindStringSubmatch(r); m != nil {
		return w.sayOr("result.failed_after", "", w.result(m[1]))
	}
	if m := synced.FindStringSubmatch(r); m != nil {
		asked, _ := strconv.Atoi(m[1])
		raised, _ := strconv.Atoi(m[2])
		return w.sayOr("count.tokens", "", asked) + "; " + w.sayOr("result.raised", "", raised)
	}
	if m := madeBatch.FindStringSubmatch(r); m != nil {
		return w.sayOr("target.batch", "", m[1])
	}
	switch {
	case strings.HasPrefix(r, "failed"):
		return w.sayOr("result.failed", "")
	case already[r]:
		return w.sayOr("result.already", "")
	}
	return w.sayOr("result.done", "")
}
