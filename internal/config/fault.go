package config

import "strconv"

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
	text := f.Variable
	if f.Value != "" {
		text += " " + f.Value
	}
	if f.Source != "" {
		text += " (from " + f.Source + ")"
	}
	return text + ": " + f.Want
}

// Error is every fault of the settings at once. A command exits with status 2 on it.
type Error struct {
	// Faults are in the order of Describe, then those between settings. Never empty.
	Faults []Fault
}

// Error is a line that counts the faults, then one for each.
func (e *Error) Error() string {
	text := "a setting is wrong:"
	if n := len(e.Faults); n > 1 {
		text = strconv.Itoa(n) + " settings are wrong:"
	}
	for _, f := range e.Faults {
		text += "\n  " + f.String()
	}
	return text
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
