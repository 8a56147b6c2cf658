package tasks

import (
	"fmt"
	"log/slog"

	"habilita/internal/engine"
)

// Token is a wolkvox token: the secret that names an operation. It prints as "[redacted]" in
// fmt, encoding/json, encoding/xml, log/slog and zerolog. string(t) is the token itself, and an
// untyped constant can be assigned to it.
//
// Give a Token a field name in a struct: a struct that embeds it prints as "[redacted]" as a
// whole. Two places show the text, out of reach of a Go type: an unexported field that fmt
// prints, and the key of a map that encoding/json writes.
type Token string

// String is "[redacted]".
func (t Token) String() string { return engine.Token(t).String() }

// GoString is "[redacted]".
func (t Token) GoString() string { return engine.Token(t).GoString() }

// Format writes "[redacted]" under every verb.
func (t Token) Format(f fmt.State, verb rune) { engine.Token(t).Format(f, verb) }

// MarshalText gives "[redacted]".
func (t Token) MarshalText() ([]byte, error) { return engine.Token(t).MarshalText() }

// MarshalJSON gives "[redacted]".
func (t Token) MarshalJSON() ([]byte, error) { return engine.Token(t).MarshalJSON() }

// LogValue is "[redacted]".
func (t Token) LogValue() slog.Value { return engine.Token(t).LogValue() }
