package config

import (
	"fmt"
	"io"
	"slices"

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
