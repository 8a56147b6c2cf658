package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// Load reads the settings of the groups: flags that were given, then getenv (such as
// os.Getenv), then defaults. Flags that were never bound, or a nil fs, are no fault. The
// error is an *Error with every fault; the Settings are then not to be used.
func Load(fs *pflag.FlagSet, getenv func(string) string, groups Group) (Settings, error) {
	l := &loader{fs: fs, getenv: getenv, groups: groups, bad: map[string]bool{}}
	for _, d := range l.s.table() {
		l.load(d)
	}
	l.together()
	if len(l.faults) > 0 {
		return Settings{}, &Error{Faults: l.faults}
	}
	return l.s, nil
}

type loader struct {
	fs     *pflag.FlagSet
	getenv func(string) string
	groups Group
	s      Settings
	faults []Fault
	bad    map[string]bool // variables with a fault, which are compared with no other
}

func (l *loader) load(d setting) {
	if d.group&l.groups == 0 {
		if d.def != "" {
			_ = d.set(d.def) // a zone that can't be loaded stays nil
		}
		return
	}
	value, flag, bad := l.find(d)
	switch {
	case bad != nil:
		l.fault(d, *bad)
	case value == "" && d.secret && !d.optional && flag == "":
		l.fault(d, Fault{Want: "is not set and is required; make one with: enqueue keygen"})
	case value == "" && d.def == "" && flag == "":
	case d.file && flag == "--"+d.flag() && carriesSecret(value):
		l.fault(d, Fault{Source: flag, Value: redacted, Want: "has a user or password, which a flag would show to everybody on this machine; " +
			"give it in the environment, or a file that " + d.variable + "_FILE names"})
	default:
		if value == "" && flag == "" {
			value = d.def
		}
		if err := d.set(value); err != nil {
			l.fault(d, Fault{Source: flag, Value: d.shown(value), Want: err.Error()})
		}
	}
}

// find looks for a setting's value, among the flags first. flag is the one that gave it, with dashes. Both
// are empty if nothing was given.
func (l *loader) find(d setting) (value, flag string, bad *Fault) {
	for _, from := range []struct {
		look                 func(name string) (string, bool)
		dashes, direct, file string
	}{
		{l.flag, "--", d.flag(), d.flag() + "-file"},
		{l.env, "", d.variable, d.variable + "_FILE"},
	} {
		value, isDirect := from.look(from.direct)
		path, isFile := from.look(from.file)
		source := func(name string) string {
			if from.dashes == "" {
				return ""
			}
			return from.dashes + name
		}
		switch isFile = isFile && d.file; {
		case isDirect && isFile:
			return "", "", &Fault{Want: "is given twice, directly and as a file; want one of them"}
		case isFile:
			value, bad := l.readFile(d, path, source(from.file))
			return value, source(from.file), bad
		case isDirect:
			return strings.TrimSpace(value), source(from.direct), nil
		}
	}
	return "", "", nil
}

// flag is the value of a flag that was on the command line.
func (l *loader) flag(name string) (value string, ok bool) {
	if l.fs == nil {
		return "", false
	}
	f := l.fs.Lookup(name)
	if f == nil || !f.Changed {
		return "", false
	}
	return f.Value.String(), true
}

func (l *loader) env(name string) (value string, ok bool) {
	v := strings.TrimSpace(l.getenv(name))
	return v, v != ""
}

func (l *loader) fault(d setting, f Fault) {
	if f.Variable == "" {
		f.Variable = d.variable
	}
	l.bad[d.variable] = true
	l.faults = append(l.faults, f)
}

// text is a flag's value as it was given. Load parses it, so that all faults come at
// once and not the first one alone.
type text struct{ value, kind string }

func (t *text) String() string     { return t.value }
func (t *text) Set(v string) error { t.value = v; return nil }
func (t *text) Type() string       { return t.kind }

// Bind adds the flags of the groups. A flag's help says its default and the variable of
// the same name. A secret gets a flag for its file alone.
func Bind(fs *pflag.FlagSet, groups Group) {
	for _, r := range Describe() {
		if r.group&groups != 0 && r.Flag != "" {
			fs.Var(&text{r.Default, r.kind}, r.Flag[len("--"):], r.Meaning+" ["+r.Variable+"]")
		}
	}
}

// together checks settings that depend on each other. It leaves out those where one was refused
// already, or was not loaded.
func (l *loader) together() {
	s := l.s
	if l.sound(Calls, "RETRY_MIN", "RETRY_MAX") && s.RetryMin > s.RetryMax {
		l.faults = append(l.faults, Fault{Variable: "RETRY_MIN", Value: quoted(short(s.RetryMin)),
			Want: fmt.Sprintf("want at most RETRY_MAX, which is %s", short(s.RetryMax))})
	}
	if l.sound(Limits, "CALL_TIMEOUT", "VENDOR_TIMEOUT", "SLOT_MARGIN") && s.Lease() > maxLease {
		l.faults = append(l.faults, Fault{Variable: "SLOT_MARGIN", Value: quoted(short(s.SlotMargin)),
			Want: fmt.Sprintf("makes a slot's lease %s; want max(CALL_TIMEOUT, VENDOR_TIMEOUT) + SLOT_MARGIN of at most %s",
				short(s.Lease()), short(maxLease))})
	}
	if l.sound(Webhooks, "WEBHOOK_URL", "WEBHOOK_SECRETS") && s.WebhookURLs != "" && s.WebhookSecrets == "" {
		l.faults = append(l.faults, Fault{Variable: "WEBHOOK_SECRETS",
			Want: "is not set and is required with WEBHOOK_URL; make one with: enqueue keygen --webhook"})
	}
	if l.sound(Calls|Limits, "SHUTDOWN_TIMEOUT", "CALL_TIMEOUT") && s.ShutdownTimeout < s.CallTimeout {
		l.faults = append(l.faults, Fault{Variable: "SHUTDOWN_TIMEOUT", Value: quoted(short(s.ShutdownTimeout)),
			Want: fmt.Sprintf("want at least CALL_TIMEOUT, which is %s: requests in flight would be cut, and made twice",
				short(s.CallTimeout))})
	}
}

// sound reports whether all the groups were loaded and none of the variables has a fault.
func (l *loader) sound(groups Group, variables ...string) bool {
	if l.groups&groups != groups {
		return false
	}
	for _, v := range variables {
		if l.bad[v] {
			return false
		}
	}
	return true
}

func quoted(v string) string { return `"` + v + `"` }

const maxFile = 64 << 10 // bytes; a file of keys has a few hundred

// readFile gives what a secret's file holds, without white space around it, and warns
// where everybody can read it.
func (l *loader) readFile(d setting, path, source string) (value string, bad *Fault) {
	fault := func(want string) (string, *Fault) {
		return "", &Fault{Variable: d.variable + "_FILE", Source: source, Value: shownPath(path), Want: want}
	}
	var info fs.FileInfo
	var text []byte
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		info, err = f.Stat()
	}
	if err == nil && info.IsDir() {
		return fault("is a directory, want a file")
	}
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	}
	value = strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return fault("can't be read: " + cause(err))
	case len(text) > maxFile:
		return fault("is larger than 64 KiB, so it is some other file")
	case value == "":
		return fault("is empty")
	}
	if readable := info.Mode().Perm() & 0o004; readable != 0 && runtime.GOOS != "windows" {
		l.s.warnings = append(l.s.warnings, fmt.Sprintf(
			"everybody on this machine can read the file of %s, %s: chmod 600 it", d.variable, shownPath(path)))
	}
	return value, nil
}

// cause leaves the path out of an error of package os.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

var sealingKey = regexp.MustCompile(`[A-Za-z0-9+/]{43}=?`)

// shownPath is a path for a message, unless somebody put the secret where its path goes.
func shownPath(path string) string {
	if strings.Contains(path, "://") || strings.Contains(path, "@") || sealingKey.MatchString(path) && strings.Contains(path, ":") {
		return redacted
	}
	return strconv.Quote(path)
}

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
