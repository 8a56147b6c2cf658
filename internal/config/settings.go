package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"habilita/internal/engine"
	"habilita/internal/quota"
	"habilita/internal/vault"
)

// Settings are the values of one process, from Load. A setting of a group that was not
// loaded has its default. Settings print as "[redacted]" under every verb, since they hold
// secrets.
type Settings struct {
	// WorkerOptions has only the options that are settings: the limits of a token (Quota) with the lease
	// that the time-outs make, the keys, and how calls are made. Quota.Location is nil only if the group was
	// not loaded and there is no zone database.
	engine.WorkerOptions

	// Listen is LISTEN, host:port, or empty if it is off.
	Listen string
	// APIKeys is HABILITA_API_KEYS, not parsed. A secret. Empty: none.
	APIKeys string
	// WebhookURLs is WEBHOOK_URL, addresses that events are sent to, comma separated. They may hold secrets. Empty: none.
	WebhookURLs string
	// WebhookSecrets is WEBHOOK_SECRETS, comma separated. A secret. Not empty if WebhookURLs is not.
	WebhookSecrets string
	// WebhookEvents is WEBHOOK_EVENTS, names of events, comma separated. Empty: all.
	WebhookEvents string

	// LogLevel is LOG_LEVEL.
	LogLevel zerolog.Level
	// LogFormat is LOG_FORMAT: "json", "console", or empty for console on a terminal
	// and json elsewhere.
	LogFormat string

	warnings []string
}

// Warnings returns what is allowed but should be put right, a sentence each, such as a file
// of keys that everybody on this machine can read. None holds a secret.
func (s Settings) Warnings() []string { return slices.Clone(s.warnings) }

// Format writes "[redacted]" under every verb.
func (s Settings) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, vault.Redacted) }

// MarshalJSON gives "[redacted]".
func (s Settings) MarshalJSON() ([]byte, error) { return []byte(`"` + vault.Redacted + `"`), nil }

const (
	formatJSON    = "json"
	formatConsole = "console"

	// Milliseconds in UTC, always three digits, so that lines sort as text.
	stamp = "2006-01-02T15:04:05.000Z07:00"
)

// Logger returns a logger that writes to w in LOG_FORMAT, from LOG_LEVEL on. Each line has
// its time in milliseconds. JSON is in UTC; text for people has colours on a terminal.
// isTerminal says whether w is one. The logger is as safe for concurrent use as w.
func Logger(s Settings, w io.Writer, isTerminal bool) zerolog.Logger {
	format := s.LogFormat
	if format == "" && isTerminal {
		format = formatConsole
	}
	if format == formatConsole {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !isTerminal, TimeFormat: "15:04:05.000"}
	}
	// A hook rather than Timestamp, whose format is a global variable of zerolog.
	return zerolog.New(w).Level(s.LogLevel).Hook(zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format(stamp))
	}))
}

// text is a flag's value as it was given. Load parses it, so that all faults come at
// once and not only the first.
type text struct{ value, kind string }

func (t *text) String() string     { return t.value }
func (t *text) Set(v string) error { t.value = v; return nil }
func (t *text) Type() string       { return t.kind }

// Bind adds the flags of the groups. A flag's help says its default and the variable of
// the same name. A secret has a flag only for its file. If a command gives a flag another
// DefValue, that is its default.
func Bind(fs *pflag.FlagSet, groups Group) {
	for _, d := range Describe() {
		if d.group&groups != 0 && !d.secret {
			fs.Var(&text{d.Default, d.kind}, strings.TrimPrefix(d.Flag(), "--"), d.Meaning+" ["+d.Variable+"]")
		}
	}
}

// IsSetting reports whether Bind made the flag.
func IsSetting(f *pflag.Flag) bool {
	_, bound := f.Value.(*text)
	return bound
}

// Load reads the settings of the groups: flags that were given, then getenv (such as
// os.Getenv), then defaults. Flags that were never bound are no fault. The
// error is an *Error with every fault; the Settings are then not to be used.
func Load(fs *pflag.FlagSet, getenv func(string) string, groups Group) (Settings, error) {
	l := &loader{fs: fs, getenv: getenv, groups: groups, bad: map[string]bool{}}
	for _, d := range l.s.table() {
		if d.group&groups != 0 {
			l.load(d)
		} else if d.Default != "" {
			_ = d.set(d.Default) // a zone that can't be loaded stays nil
		}
	}
	l.s.Quota.Guard = max(l.s.Quota.Guard, time.Millisecond) // the smallest that there is: 0 would be the default
	l.s.Quota.Lease = max(l.s.CallTimeout, l.s.VendorTimeout) + l.s.SlotMargin
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
	faults []string
	bad    map[string]bool // variables with a fault, which are not compared with others
}

func (l *loader) load(d Setting) {
	value, from, ok := l.find(d)
	if f := l.lookup(d.Flag()); f != nil && IsSetting(f) {
		d.Default = f.DefValue
	}
	switch {
	case !ok:
	case from == "" && d.secret && !d.optional:
		l.fault(d.Variable, "", "", "is not set and is required: give the key that the workers use, or its file in HABILITA_KEYS_FILE; only for a new Redis make one with: enqueue keygen")
	case from == "" && d.Default == "":
	case d.file && from == d.Flag() && carriesSecret(value):
		l.fault(d.Variable, vault.Redacted, from, "has a user or password, which a flag would show to everybody on this machine; "+
			"give it in the environment, or a file that "+d.Variable+"_FILE names")
	default:
		if from == "" {
			value = d.Default
		}
		if err := d.set(value); err != nil {
			l.fault(d.Variable, d.shown(value), from, err.Error())
		}
	}
}

// find looks for a setting's value, among the flags first. from is the flag, with dashes, or the variable that gave it;
// empty if nothing did. It notes a fault if it is not ok.
func (l *loader) find(d Setting) (value, from string, ok bool) {
	for _, look := range []struct {
		in           func(name string) (string, bool)
		direct, file string
	}{{l.flag, d.Flag(), d.inFile().Flag()}, {l.env, d.Variable, d.inFile().Variable}} {
		value, given := look.in(look.direct)
		path, inFile := look.in(look.file)
		switch inFile = inFile && d.file; {
		case given && inFile:
			l.fault(d.Variable, "", "", "is given twice, directly and as a file; want one of them")
			return "", "", false
		case inFile:
			value, ok = l.readFile(d, path, look.file)
			return value, look.file, ok
		case given:
			return strings.TrimSpace(value), look.direct, true
		}
	}
	return "", "", true
}

// flag is the value of a flag that was on the command line.
func (l *loader) flag(name string) (value string, ok bool) {
	f := l.lookup(name)
	if f == nil || !f.Changed {
		return "", false
	}
	return f.Value.String(), true
}

func (l *loader) lookup(name string) *pflag.Flag {
	return l.fs.Lookup(strings.TrimPrefix(name, "--"))
}

func (l *loader) env(name string) (value string, ok bool) {
	v := strings.TrimSpace(l.getenv(name))
	return v, v != ""
}

// fault notes what is wrong with a setting. value is empty if nothing was given. from is shown if it is a flag.
func (l *loader) fault(variable, value, from, want string) {
	l.bad[variable] = true
	line := variable
	if value != "" {
		line += " " + value
	}
	if strings.HasPrefix(from, "-") {
		line += " (from " + from + ")"
	}
	l.faults = append(l.faults, line+": "+strings.ReplaceAll(want, "\n", "; "))
}

// together checks settings that depend on each other.
func (l *loader) together() {
	s := l.s
	l.compare(Calls, s.RetryMin > s.RetryMax, s.RetryMin,
		"want at most RETRY_MAX, which is "+short(s.RetryMax), "RETRY_MIN", "RETRY_MAX")
	l.compare(Limits, s.Quota.Lease > quota.MaxLease, s.SlotMargin,
		fmt.Sprintf("makes a slot's lease %s; want max(CALL_TIMEOUT, VENDOR_TIMEOUT) + SLOT_MARGIN of at most %s", short(s.Quota.Lease), short(quota.MaxLease)),
		"SLOT_MARGIN", "CALL_TIMEOUT", "VENDOR_TIMEOUT")
	l.compare(Webhooks, s.WebhookURLs != "" && s.WebhookSecrets == "", 0,
		"is not set and is required with WEBHOOK_URL; make one with: enqueue keygen --webhook", "WEBHOOK_SECRETS", "WEBHOOK_URL")
	l.compare(Calls|Limits, s.ShutdownTimeout < s.CallTimeout, s.ShutdownTimeout,
		fmt.Sprintf("want at least CALL_TIMEOUT, which is %s: requests in flight would be cut, and made twice", short(s.CallTimeout)),
		"SHUTDOWN_TIMEOUT", "CALL_TIMEOUT")
}

// compare notes a fault of the first of the variables, unless one of them has a fault already or was not loaded.
func (l *loader) compare(groups Group, bad bool, value time.Duration, want string, variables ...string) {
	if !bad || l.groups&groups != groups || slices.ContainsFunc(variables, func(v string) bool { return l.bad[v] }) {
		return
	}
	shown := ""
	if value != 0 {
		shown = strconv.Quote(short(value))
	}
	l.fault(variables[0], shown, "", want)
}

const maxFile = 64 << 10 // bytes; a file of keys has a few hundred

// readFile returns what a secret's file holds, without white space around it, and warns
// if everybody can read the file.
func (l *loader) readFile(d Setting, path, from string) (value string, ok bool) {
	var raw []byte
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		raw, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	}
	want := ""
	value = strings.TrimSpace(string(raw))
	switch cause, is := errors.AsType[*fs.PathError](err); {
	case is:
		want = "can't be read: " + cause.Err.Error() // the path is shown already, or must not be
	case err != nil:
		want = "can't be read: " + err.Error()
	case len(raw) > maxFile:
		want = "is larger than 64 KiB, so it is some other file"
	case value == "":
		want = "is empty"
	}
	if want != "" {
		l.bad[d.Variable] = true
		l.fault(d.Variable+"_FILE", shownPath(path), from, want)
		return "", false
	}
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o004 != 0 && runtime.GOOS != "windows" {
		l.s.warnings = append(l.s.warnings, fmt.Sprintf(
			"everybody on this machine can read the file of %s, %s: chmod 600 it", d.Variable, shownPath(path)))
	}
	return value, true
}

var sealingKey = regexp.MustCompile(`[A-Za-z0-9+/]{43}=?`)

// shownPath is a path for a message, unless somebody put the secret where its path goes.
func shownPath(path string) string {
	if strings.Contains(path, "://") || strings.Contains(path, "@") || sealingKey.MatchString(path) && strings.Contains(path, ":") {
		return vault.Redacted
	}
	return strconv.Quote(path)
}

// shown is a value as a fault shows it: quoted, on one line, short, and redacted if
// it is or may be a secret.
func (d Setting) shown(v string) string {
	if d.secret || d.kind == "url" && (carriesSecret(v) || !plainURL.MatchString(v)) {
		return vault.Redacted
	}
	return fmt.Sprintf("%.80q", v)
}

// Error is every fault of the settings at once. A command exits with status 2 on it.
type Error struct {
	// Faults are one line each: the variable, however the value was given; the value, quoted, or "[redacted]" if it may be
	// a secret; the flag that gave it; and what is wanted. They come in the order of Describe, those between settings last.
	Faults []string
}

// Error is a line that counts the faults, then one for each.
func (e *Error) Error() string {
	text := "a setting is wrong:"
	if n := len(e.Faults); n > 1 {
		text = strconv.Itoa(n) + " settings are wrong:"
	}
	return text + "\n  " + strings.Join(e.Faults, "\n  ")
}
