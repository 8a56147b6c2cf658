package console

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"habilita/internal/operator"
)

// The texts that the ledger keeps of a failed call, as package tasks and the vendor's
// client make them.
var (
	afterAttempts = regexp.MustCompile(`^given up after (\d+) attempts: `)
	pushedSince   = regexp.MustCompile(`^given up: pushed back since (\S+): `)
	refusedKind   = regexp.MustCompile(`^wolkvox: refused \((\w+)\)`)
)

// cause is why a call failed, in plain words; "" where it did not.
func (w *words) cause(r operator.CallRecord) string {
	text := r.Error
	if text == "" {
		return ""
	}
	before := ""
	if m := afterAttempts.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		before, _ = w.say("cause.attempts", n)
		text = text[len(m[0]):]
	} else if m := pushedSince.FindStringSubmatch(text); m != nil {
		at := m[1]
		if t, err := time.Parse(time.RFC3339, at); err == nil {
			at = t.In(w.zone).Format("2006-01-02 15:04")
		}
		before, _ = w.say("cause.pushed", at)
		text = text[len(m[0]):]
	}
	return strings.TrimSpace(before + " " + w.sayOr(causeKey(text), r.Error))
}

// causeKey is the key of the words for an error; one that there is not where the error
// is of no kind that is known.
func causeKey(text string) string {
	if m := refusedKind.FindStringSubmatch(text); m != nil {
		return "cause." + m[1]
	}
	for _, known := range [...]struct{ beginning, key string }{
		{"wolkvox: request not sent", "cause.not_sent"},
		{"wolkvox: outcome unknown", "cause.unknown"},
		{"wolkvox: answer can't be read", "cause.unreadable"},
		{"token can't be opened: sealing key", "cause.key_gone"},
		{"token can't be opened", "cause.unopenable"},
		{"unknown outcome: the worker was lost", "cause.lost"},
	} {
		if strings.HasPrefix(text, known.beginning) {
			return known.key
		}
	}
	return ""
}

// reason is why a chain does not go on just now, in plain words.
func (w *words) reason(c operator.Chain) string {
	if c.Reason == "" {
		return w.sayOr("chain."+c.State, c.Why)
	}
	said := w.sayOr("reason."+c.Reason, c.Why)
	switch c.Reason {
	case "held", "back-off", "push-back":
		if why := w.cause(c.Head); why != "" {
			said += ": " + why
		}
	case "cooling":
		if _, why, ok := strings.Cut(c.Why, ": "); ok {
			said += ": " + w.cooling(why)
		}
	}
	return said
}

// coolingKeys are the reasons of a cool-down, by what package tasks writes.
var coolingKeys = map[string]string{
	"the vendor says that the day's quota is used up": "cooling.quota",
	"the vendor says that two requests are in flight": "cooling.slots",
	"the vendor asks for fewer requests (429)":        "cooling.rate",
	"the vendor refuses for now (403)":                "cooling.forbidden",
}

// cooling is why a token cools down, in plain words.
func (w *words) cooling(why string) string { return w.sayOr(coolingKeys[why], why) }

// target is what somebody acted on, as the action log keeps it (operator.Selection's
// String), in words.
func (w *words) target(t string) string {
	if t == (operator.Selection{All: true}).String() {
		return w.sayOr("target.all", t)
	}
	what, name, _ := strings.Cut(t, " ")
	if what == "chain" || what == "token" {
		name = short(name)
	}
	return w.sayOr("target."+what, t, name)
}

var countOf = regexp.MustCompile(`^(\d+) (chain|call|server|token)s?$`)

// result is what came of an action, in words where it is a count.
func (w *words) result(r string) string {
	m := countOf.FindStringSubmatch(r)
	if m == nil {
		return r
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return r
	}
	return w.sayOr("count."+m[2]+"s", r, n)
}
