package wolkvox

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// NotSentError says that certainly nothing of the request was written, and that
// nothing will be. The name, the connection or TLS failed, the request was bad, the
// context ended first, or WriteBy passed first.
type NotSentError struct {
	// Late reports that it was held up on our side until Request.WriteBy had passed. A connection that
	// could not be made by then is not late: that says something about the server.
	Late bool
	// Cause is what went wrong, never nil and never with the token.
	Cause error
}

func (e *NotSentError) Error() string { return fmt.Sprintf("wolkvox: request not sent: %v", e.Cause) }

// Unwrap gives the cause.
func (e *NotSentError) Unwrap() error { return e.Cause }

// UnknownOutcomeError says that the request, or some of it, was written and that no
// complete answer came: a time-out, a reset, a cut or endless body. The vendor may
// still be working on it; its slot stays taken until its lease ends.
type UnknownOutcomeError struct {
	// Status is the HTTP status if the answer's head was received, else 0.
	// It says nothing about the outcome.
	Status int
	// Cause is what went wrong, never nil and never with the token. It is
	// context.DeadlineExceeded (errors.Is) after Config.Timeout.
	Cause error
}

func (e *UnknownOutcomeError) Error() string {
	head := ""
	if e.Status != 0 {
		head = fmt.Sprintf(" after the head of an answer with HTTP %d", e.Status)
	}
	return fmt.Sprintf("wolkvox: outcome unknown%s: %v", head, e.Cause)
}

// Unwrap gives the cause.
func (e *UnknownOutcomeError) Unwrap() error { return e.Cause }

// RefusedError is a complete answer that says no.
type RefusedError struct {
	// Kind is what the refusal means.
	Kind Kind
	// Status is the HTTP status.
	Status int
	// Code is the envelope's code, from 100 to 999; 0 if there was none.
	Code int
	// Msg is the envelope's msg or, if there was no envelope, the body's
	// beginning. It is safe to print, without the token, at most 300 bytes.
	Msg string
	// Detail is the envelope's error as text, "" for none; safe like Msg.
	Detail string
	// RetryAfter is what the answer's Retry-After asks for, 0 for none; an hour
	// at most. It is not known whether the vendor ever sends one.
	RetryAfter time.Duration
}

func (e *RefusedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "wolkvox: refused (%s): HTTP %d", e.Kind, e.Status)
	if e.Code != 0 {
		fmt.Fprintf(&b, ", code %d", e.Code)
	}
	for _, s := range []string{e.Msg, e.Detail} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	return b.String()
}

// UnreadableError is a complete answer with an HTTP status of success that says
// nothing we can read: no JSON, an empty body, another shape, or above the cap.
type UnreadableError struct {
	// Status is the HTTP status, 200 to 299.
	Status int
	// Reason is why it can't be read, in our words.
	Reason string
	// Excerpt is the body's beginning, made safe to print, without the
	// token, at most 300 bytes.
	Excerpt string
}

func (e *UnreadableError) Error() string {
	s := fmt.Sprintf("wolkvox: answer can't be read: HTTP %d: %s", e.Status, e.Reason)
	if e.Excerpt != "" {
		s += fmt.Sprintf(": %q", e.Excerpt)
	}
	return s
}

// Kind is what a refusal means. Its text is stable: it may be a label of a metric.
type Kind string

// The kinds. By the vendor's published table, 403 means four different things, and
// only msg tells them apart. 429 and 5xx are not in the table, but may come.
const (
	BadToken          Kind = "bad_token"          // 403, PLEASE VALIDATE TOKEN
	TokenLimit        Kind = "token_limit"        // 403, TOKEN LIMIT EXCEEDED: the day's quota is used up
	SimultaneousLimit Kind = "simultaneous_limit" // 403, EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN
	UnknownForbidden  Kind = "forbidden"          // any other 403, such as maintenance, whose text is not known
	BadRequest        Kind = "bad_request"        // 400: an unknown api, or a missing parameter
	MissingToken      Kind = "missing_token"      // 401
	NotFound          Kind = "not_found"          // 404
	MethodNotAllowed  Kind = "method_not_allowed" // 405
	TooMany           Kind = "too_many"           // 429
	ServerFailure     Kind = "server_error"       // 5xx
	Other             Kind = "other"              // anything else, redirects included, and success codes with an error
)

var coolings = map[Kind]string{
	TokenLimit:        "the vendor says that the day's quota is used up",
	SimultaneousLimit: "the vendor says that two requests are in flight",
	TooMany:           "the vendor asks for fewer requests (429)",
	UnknownForbidden:  "the vendor refuses for now (403)",
}

// Cooling is why a token cools down after a refusal of this kind, in words. A cool-down is stored
// as its kind. Earlier versions stored the words, which Cooling returns as they are.
func (k Kind) Cooling() string { return cmp.Or(coolings[k], string(k)) }

// phrases are the vendor's texts, in the order in which they are looked for. If an
// answer holds two, the one that passes by itself decides.
var phrases = []struct {
	text string
	kind Kind
}{
	{"EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN", SimultaneousLimit},
	{"TOKEN LIMIT EXCEEDED", TokenLimit},
	{"PLEASE VALIDATE TOKEN", BadToken},
}

// succeeded reports whether a status or a code is one of success.
func succeeded(n int) bool {
	return n == http.StatusOK || n == http.StatusCreated || n == http.StatusAccepted
}

// kindOf judges an answer by its HTTP status and, if there is an envelope, by its
// code (0 for none) and texts. Neither number is trusted alone: a failure overrules
// a success. If both are failures and differ, the kind that can pass wins, so that
// no call is given up at once on evidence that contradicts itself. One of the
// vendor's phrases overrules both numbers, unless the failure is the server's own.
func kindOf(status, code int, msg, errText string) Kind {
	byStatus, byCode := kindOfNumber(status), kindOfNumber(code)
	kind := worse(byStatus, byCode)
	onlyServer := (byStatus == ServerFailure || byStatus == "") && (byCode == ServerFailure || byCode == "") && kind != ""
	if !onlyServer {
		if said := phraseIn(msg, errText); said != "" {
			return said
		}
	}
	return cmp.Or(kind, Other)
}

// phraseIn finds one of the vendor's phrases in the texts, "" for none. Case and the
// amount of white space don't matter.
func phraseIn(texts ...string) Kind {
	for i, s := range texts {
		texts[i] = strings.ToUpper(strings.Join(strings.Fields(s), " "))
	}
	for _, p := range phrases {
		for _, s := range texts {
			if strings.Contains(s, p.text) {
				return p.kind
			}
		}
	}
	return ""
}

var kinds = map[int]Kind{
	http.StatusBadRequest: BadRequest, http.StatusUnauthorized: MissingToken, http.StatusForbidden: UnknownForbidden,
	http.StatusNotFound: NotFound, http.StatusMethodNotAllowed: MethodNotAllowed, http.StatusTooManyRequests: TooMany,
}

// kindOfNumber is what a status or code says; "" for success and for none.
func kindOfNumber(n int) Kind {
	switch {
	case n == 0 || succeeded(n):
		return ""
	case n >= 500 && n <= 599:
		return ServerFailure
	}
	return cmp.Or(kinds[n], Other)
}

// worse is the one of two kinds that decides; "" is success.
func worse(status, code Kind) Kind {
	if status == code || code == "" {
		return status
	}
	if status == "" {
		return code
	}
	for _, k := range []Kind{ServerFailure, TooMany, UnknownForbidden, Other} {
		if status == k || code == k {
			return k
		}
	}
	return status
}

// classify turns a complete answer into success, a *RefusedError or an *UnreadableError.
// An HTTP status that is no success is a refusal, even without an envelope. So is a
// failing code, or one of the vendor's phrases if there is no code. A success needs a
// status and a code of success, an error or a msg field, and nothing in error.
func classify(status int, p payload, token string) (Answer, error) {
	env := p.env
	refused := func() error {
		r := &RefusedError{
			Kind:   kindOf(status, env.code, env.msg, env.err),
			Status: status,
			Code:   env.code,
			Msg:    safeText(env.msg, token),
			Detail: safeText(env.err, token),
		}
		if p.fault != "" {
			r.Msg = safeText(string(p.data), token)
		}
		return r
	}
	unreadable := func(why string) error {
		return &UnreadableError{Status: status, Reason: why, Excerpt: safeText(string(p.data), token)}
	}
	switch {
	case status < http.StatusOK || status >= http.StatusMultipleChoices:
		return Answer{}, refused()
	case p.fault != "":
		return Answer{}, unreadable(p.fault)
	case env.code != 0 && !succeeded(env.code), env.code == 0 && phraseIn(env.msg, env.err) != "":
		return Answer{}, refused()
	case !env.parts:
		return Answer{}, unreadable("the JSON is not the vendor's envelope: a code, and an error or a msg, are missing")
	case !succeeded(status) || env.fail:
		return Answer{}, refused()
	}
	return Answer{Status: status, Code: env.code, Msg: safeText(env.msg, token), data: env.data}, nil
}
