package config

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/engine"
)

const redacted = "[redacted]"

// Settings are the values of one process, from Load. A setting of a group that was not
// loaded has its default. It prints as "[redacted]" under every verb, since it holds
// secrets.
type Settings struct {
	// WorkerOptions are those that are settings, and no others: the limits of a token (Quota) with the lease
	// that the time-outs make, the keys, and how calls are made. Quota.Location is nil only where the group was
	// not loaded and there is no zone database.
	engine.WorkerOptions

	// Listen is LISTEN, host:port, or empty where it is off.
	Listen string
	// APIKeys is HABILITA_API_KEYS, not parsed. A secret. Empty where there are none.
	APIKeys string
	// WebhookURLs is WEBHOOK_URL, addresses that events are sent to, comma separated. They may hold secrets. Empty: none.
	WebhookURLs string
	// WebhookSecrets is WEBHOOK_SECRETS, comma separated. A secret. Not empty where WebhookURLs is not.
	WebhookSecrets string
	// WebhookEvents is WEBHOOK_EVENTS, names of events, comma separated. Empty: all.
	WebhookEvents string

	// LogLevel is LOG_LEVEL.
	LogLevel zerolog.Level
	// LogFormat is LOG_FORMAT: "json", "console", or empty for console on a terminal
	// and else json.
	LogFormat string

	warnings []string
}

// Warnings are what is allowed but should be seen to, a sentence each, such as a file of
// keys that everybody on this machine can read. None holds a secret.
func (s Settings) Warnings() []string { return slices.Clone(s.warnings) }

// Format writes "[redacted]" under every verb.
func (s Settings) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON gives "[redacted]".
func (s Settings) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

const (
	formatJSON    = "json"
	formatConsole = "console"

	// Milliseconds in UTC, always three digits, so that lines sort as text.
	stamp = "2006-01-02T15:04:05.000Z07:00"
)

// Logger writes to w in LOG_FORMAT from LOG_LEVEL on, each line with its time in
// milliseconds: JSON with UTC, or for people with colours on a terminal. isTerminal says
// whether w is one. Safe for concurrent use with any w.
func Logger(s Settings, w io.Writer, isTerminal bool) zerolog.Logger {
	format := s.LogFormat
	if format == "" && isTerminal {
		format = formatConsole
	}
	out := zerolog.SyncWriter(w)
	if format == formatConsole {
		out = zerolog.ConsoleWriter{Out: out, NoColor: !isTerminal, TimeFormat: "15:04:05.000"}
	}
	// A hook and not Timestamp, whose format is a global of zerolog.
	return zerolog.New(out).Level(s.LogLevel).Hook(zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format(stamp))
	}))
}
