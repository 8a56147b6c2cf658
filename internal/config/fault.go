package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Fault is one setting with a wrong value.
type Fault struct {
	// Variable is the environment variable, however the value was given.
	Variable string
	// Source is the flag that gave the value, with its dashes; empty where it was the
	// environment, a default, or nothing.
	Source string
	// Value is what was given, quoted; "[redacted]" where it may be a secret, empty
	// where nothing was.
	Value string
	// Want says what is wrong or wanted.
	Want string
}

// String is the fault on one line.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Variable)
	if f.Value != "" {
		b.WriteString(" " + f.Value)
	}
	if f.Source != "" {
		fmt.Fprintf(&b, " (from %s)", f.Source)
	}
	return b.String() + ": " + f.Want
}

// Error is every fault of the settings at once. A command exits with status 2 on it.
type Error struct {
	// Faults are in the order of Describe, then those between settings. Never empty.
	Faults []Fault
}

// Error is a line that counts the faults, then one for each.
func (e *Error) Error() string {
	var b strings.Builder
	if len(e.Faults) == 1 {
		b.WriteString("a setting is wrong:")
	} else {
		fmt.Fprintf(&b, "%d settings are wrong:", len(e.Faults))
	}
	for _, f := range e.Faults {
		b.WriteString("\n  " + f.String())
	}
	return b.String()
}

// shown is a value as a fault shows it: quoted, on one line, short, and redacted where
// it is or may be a secret.
func (d setting) shown(v string) string {
	if d.secret || d.kind == "url" && (carriesSecret(v) || !plainURL.MatchString(v)) {
		return redacted
	}
	const most = 80
	if r := []rune(v); len(r) > most {
		v = string(r[:most]) + "..."
	}
	return strconv.Quote(v)
}
