package tasks

import (
	"fmt"
	"log/slog"
	"time"

	"habilita/internal/engine"
)

// Call is one enable_module request to be made.
type Call struct {
	// Server is the vendor's server of the operation: "0042", "42" or "wv0042". Required.
	Server string
	// Token is the operation's token. It is sealed before it leaves the process. Required.
	Token Token
	// Licenses is how many licences the operation has: each allows 1000 requests a day. 0: not
	// given; the last number that was given holds.
	Licenses int
	// Chain names the token's chain that the call joins. "": the token's default chain. Up to 128
	// printable ASCII characters without space.
	Chain string
	// Ref is your own text, shown in reports. Up to 256 characters.
	Ref string
	// ID makes it harmless to enqueue the call again. It is unique in its batch and token.
	// "": in a batch, the call is known by its content (server, token, chain and ref) and by its
	// number among calls with the same content; a single call is always new.
	// Up to 128 printable ASCII characters without space.
	ID string
	// Batch is the batch of a single call; "": none. EnqueueBatch ignores it.
	Batch string
	// At is when the call joins the end of its chain. Zero, or a time that has passed: now.
	// At most ten years from now.
	At time.Time
	// Row is the call's line in its file, from 1; reports show it. 0: EnqueueBatch uses the call's
	// place in the sequence. Enqueue ignores it.
	Row int
	// Notify asks for the webhook call.finished when the call has ended, if the workers send
	// webhooks.
	Notify bool
	// Source comes back in the error of OnLeftOut if the call is left out. It is neither stored nor sent.
	Source any
}

// Check says what is wrong with the call, as Enqueue would: a *CallError, or nil.
func (c Call) Check() error {
	call := c.engine()
	return public(call.Check())
}

// Format prints a call without its token, whatever the verb.
func (c Call) Format(f fmt.State, verb rune) { c.engine().Format(f, verb) }

func (c Call) engine() engine.Call {
	return engine.Call{
		Server: c.Server, Token: engine.Token(c.Token), Licenses: c.Licenses, Chain: c.Chain, Ref: c.Ref, ID: c.ID,
		Batch: c.Batch, At: c.At, Row: c.Row, Notify: c.Notify, Source: c.Source,
	}
}

// Receipt is the proof that a call will be made.
type Receipt struct {
	ID        string // of the call, for Find and for the vendor's support
	Batch     string // "": none
	TokenID   string // the token's name, which reveals nothing about the token
	Chain     string // id of the chain, for Selection
	Duplicate bool   // the call was there already
	// Due is when a call that is put off joins its chain; zero: it has joined.
	Due time.Time
}

// Token is a wolkvox token: the secret that names an operation. It prints as "[redacted]" in
// fmt, encoding/json, encoding/xml, log/slog and zerolog. string(t) is the token itself, and you
// can assign an untyped constant to a Token.
//
// Give a Token a field name in a struct: a struct that embeds it prints as "[redacted]" as a
// whole. A Go type can't hide its text in two places: in an unexported field that fmt prints,
// and in a map key that encoding/json writes.
type Token string

// String returns "[redacted]".
func (t Token) String() string { return engine.Token(t).String() }

// GoString returns "[redacted]".
func (t Token) GoString() string { return engine.Token(t).GoString() }

// Format writes "[redacted]" under every verb.
func (t Token) Format(f fmt.State, verb rune) { engine.Token(t).Format(f, verb) }

// MarshalText returns "[redacted]".
func (t Token) MarshalText() ([]byte, error) { return engine.Token(t).MarshalText() }

// MarshalJSON returns "[redacted]".
func (t Token) MarshalJSON() ([]byte, error) { return engine.Token(t).MarshalJSON() }

// LogValue returns "[redacted]".
func (t Token) LogValue() slog.Value { return engine.Token(t).LogValue() }
