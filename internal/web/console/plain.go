package console

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/wolkvox"
)

// How a call that may be tried again came to be given up, by the code of what went wrong.
var (
	attemptsSpent = []string{string(wolkvox.ServerFailure), string(wolkvox.Other), ledger.ReasonUnreadable, ledger.ReasonUnknown}
	putOffTooLong = []string{string(wolkvox.TokenLimit), string(wolkvox.SimultaneousLimit), string(wolkvox.TooMany),
		string(wolkvox.UnknownForbidden), ledger.ReasonNotSent}
)

// cause is why a call failed, in plain words; "" where it did not.
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

// resultForms are the forms in which the commands, the API and these pages write the result of an action, and
// how each is told, by its groups. The first that fits is taken.
var resultForms []resultForm

type resultForm struct {
	form *regexp.Regexp
	told func(w *words, m []string) string
}

func init() { // not a value of the variable, since some results hold others
	is := func(form string, told func(w *words, m []string) string) {
		resultForms = append(resultForms, resultForm{regexp.MustCompile(form), told})
	}
	is(`(?s)^(.*); (\d+) parts? of Redis could not be read$`, func(w *words, m []string) string {
		return w.result(m[1]) + "; " + w.count("result.unread", m[2])
	})
	is(`^(\d+) (chain|call|server|token|row)s?$`, func(w *words, m []string) string { return w.count("count."+m[2]+"s", m[1]) })
	is(`^(\d+) new of (\d+) rows$`, func(w *words, m []string) string {
		return w.count("count.rows", m[2]) + "; " + w.count("result.new", m[1])
	})
	is(`^(\d+) tokens? asked about, (\d+) counts? raised`, func(w *words, m []string) string {
		return w.count("count.tokens", m[1]) + "; " + w.count("result.raised", m[2])
	})
	is(`^chain [^ ]+$`, func(w *words, m []string) string { return w.target(m[0]) })
	is(`^batch +([^\n]+)`, func(w *words, m []string) string { return w.sayOr("target.batch", "", m[1]) })
	is(`^failed after (\d+ \w+|\d+ new of \d+ rows): `, func(w *words, m []string) string {
		return w.sayOr("result.failed_after", "", w.result(m[1]))
	})
	is(`^failed`, func(w *words, _ []string) string { return w.sayOr("result.failed", "") })
	is(`^(it was so already|it is not paused|it is paused already)$`, func(w *words, _ []string) string { return w.sayOr("result.already", "") })
}

func (w *words) count(key, number string) string {
	n, _ := strconv.Atoi(number) // it is digits
	return w.sayOr(key, "", n)
}

// result is what came of an action, in words. The prose of a command, which is of one
// language and may name other commands, is not among them.
func (w *words) result(r string) string {
	for _, f := range resultForms {
		if m := f.form.FindStringSubmatch(r); m != nil {
			return f.told(w, m)
		}
	}
	return w.sayOr("result.done", "")
}
