package engine

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/rows"
	"habilita/internal/vault"
)

// Call is one enable_module request to be made.
type Call struct {
	// Server is the vendor's server of the operation: "0042", "42" or "wv0042".
	Server string
	// Token is the operation's wolkvox token. It is sealed before it leaves the
	// process, and appears nowhere else: a Token prints as "[redacted]".
	Token Token
	// Licenses is how many licences the operation has: the day's quota is 1,000 for
	// each. 0: not given; the last value that was given holds.
	Licenses int
	// Chain names the token's chain that the call belongs to. "" is the token's
	// default chain. 1 to 128 printable ASCII characters without space.
	Chain string
	// Ref is the producer's own text, shown in reports. Up to 256 characters.
	Ref string
	// ID makes enqueueing the call again harmless. It is unique in its batch and token.
	// "": in EnqueueBatch the call is known by what it says (server, token, chain and ref) and
	// by its number among calls that say the same; a single call is always new.
	// 1 to 128 printable ASCII characters without space.
	ID string
	// Batch is the batch of a single call; EnqueueBatch ignores it.
	Batch string
	// At puts the call off: it joins the end of its chain at that time. Zero or a past
	// time means now. At most MaxAhead from now.
	At time.Time
	// Row is the call's line in its file, from 1. It is kept with the call and shown in
	// reports. 0: EnqueueBatch takes the call's place in the sequence. Enqueue ignores it.
	Row int
	// Notify asks for the webhook call.finished when the call has ended, if the workers send webhooks.
	Notify bool
	// Source comes back in the error of a call that EnqueueBatch left out. It is
	// neither stored nor sent.
	Source any
}

// Format prints a call without its token, whatever the verb.
func (c Call) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "call to server %s, chain %q, ref %q, id %q", c.Server, c.Chain, c.Ref, c.ID)
}

// CallOfRow is the call of a file's row, with the error of reading it. If the row's chain can't be told, the error
// wraps ErrChainUnknown.
func CallOfRow(r rows.Row, err error) (Call, error) {
	if bad, ok := errors.AsType[*rows.RowError](err); ok && bad.ChainUnknown {
		err = errors.Join(err, ErrChainUnknown)
	}
	return Call{Server: r.Server, Token: Token(r.Token), Licenses: r.Licenses, Chain: r.Chain, Ref: r.Ref, ID: r.ID, Row: r.Line}, err
}

// CallError says what is wrong with a call. It never holds the token.
type CallError struct {
	Index   int    // place in the batch, from 0; -1 for a single call
	Field   string // server, token, licenses, chain, ref, id, batch, at
	Problem string
}

func (e *CallError) Error() string {
	if e.Index < 0 {
		return e.Field + ": " + e.Problem
	}
	return fmt.Sprintf("call %d: %s: %s", e.Index, e.Field, e.Problem)
}

// MaxAhead is how far ahead a call may be put off: ten years.
const MaxAhead = 3653 * 24 * time.Hour

// TooFar reports whether a call can't be put off until t, because t is more than MaxAhead
// from now.
func TooFar(t time.Time) bool { return !t.IsZero() && time.Until(t) > MaxAhead }

const tooFar = "is more than ten years ahead"

// Check says what is wrong with the call, as Enqueue would: a *CallError, or nil. It makes the server canonical.
func (c *Call) Check() error { return c.check(-1) }

// check validates a call and makes its server canonical.
func (c *Call) check(index int) error {
	fault := func(field, problem string) error { return &CallError{Index: index, Field: field, Problem: problem} }
	row := rows.Row{Server: c.Server, Token: string(c.Token), Licenses: c.Licenses, Chain: c.Chain, Ref: c.Ref, ID: c.ID}
	if bad := row.Check(); bad != nil {
		return fault(bad.Field, bad.Problem)
	}
	c.Server = row.Server
	if p := ledger.BatchNameProblem(c.Batch); index < 0 && c.Batch != "" && p != "" {
		return fault("batch", p)
	}
	if TooFar(c.At) {
		return fault("at", tooFar)
	}
	return nil
}

// Token is a wolkvox token: the secret that names an operation. It prints as
// "[redacted]" in fmt under every verb, encoding/json, encoding/xml, log/slog and zerolog.
// string(t) is the token itself.
//
// Untyped constants and JSON strings are assigned to it as to a string. "[redacted]" itself is
// refused as a token, so that a call that was written as JSON and read again is not made
// with it.
//
// A struct that embeds a Token prints as "[redacted]" as a whole. Give the token a name
// in the struct instead: then the other fields show, as they do in a struct that embeds a
// [Call] and is written as JSON.
//
// Two places are out of reach of a Go type and show the text: an unexported field that
// package fmt prints, and the key of a map that encoding/json writes.
type Token string

const redacted = vault.Redacted

// String is "[redacted]".
func (Token) String() string { return redacted }

// GoString is "[redacted]".
func (Token) GoString() string { return redacted }

// Format writes "[redacted]" under every verb.
func (Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText gives "[redacted]".
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON gives "[redacted]".
func (Token) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue is "[redacted]".
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }
