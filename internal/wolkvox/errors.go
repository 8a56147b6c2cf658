package wolkvox

import (
	"fmt"
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
