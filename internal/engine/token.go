package engine

import (
	"fmt"
	"io"
	"log/slog"
)

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

const redacted = "[redacted]"

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
