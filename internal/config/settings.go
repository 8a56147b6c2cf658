package config

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/quota"
)

const redacted = "[redacted]"

// Settings are the values of one process, from Load. A setting of a group that was not
// loaded has its default. It prints as "[redacted]" under every verb, since it holds
// secrets.
type Settings struct {
	// RedisURL is REDIS_URL. It may hold a password.
	RedisURL string
	// Keys is HABILITA_KEYS, not parsed. A secret. Empty where the group was not loaded.
	Keys string
	// WolkvoxURL is WOLKVOX_URL, with "{server}" where the server's name goes.
	WolkvoxURL string

	// CallTimeout is CALL_TIMEOUT, the longest time of a request. Above 0.
	CallTimeout time.Duration
	// VendorTimeout is VENDOR_TIMEOUT, the longest time that the vendor may work on a
	// request. Above 0.
	VendorTimeout time.Duration
	// SlotMargin is SLOT_MARGIN, at least 100 ms; see Lease.
	SlotMargin time.Duration

	// Concurrency is CONCURRENCY, requests in flight for one process, 1 to 10,000.
	Concurrency int
	// ServerConcurrency is SERVER_CONCURRENCY, of these for one server of the vendor, 1 to 10,000.
	ServerConcurrency int
	// WaitReplicas is WAIT_REPLICAS, replicas that must have a write before it counts as done, 0 to 100.
	WaitReplicas int
	// Queues is QUEUES, queues of asynq over which chains are spread, 1 to 64.
	Queues int
	// TokenSlots is TOKEN_SLOTS, requests in flight for one token, 1 or 2.
	TokenSlots int
	// DefaultLicenses is DEFAULT_LICENSES, for a token for which none were given. At
	// least 1.
	DefaultLicenses int

	// Timezone is QUOTA_TIMEZONE, where the vendor's day begins. Its String is the
	// name that was given. Nil only where the group was not loaded and there is no
	// zone database.
	Timezone *time.Location
	// QuotaGuard is QUOTA_GUARD, the time around midnight without grants, 1 ms to
	// below 1 h. A guard of 0 is read as 1 ms, the smallest that there is.
	QuotaGuard time.Duration

	// MaxAttempts is MAX_ATTEMPTS, requests sent before a call is given up, at least 1.
	MaxAttempts int
	// GiveUpAfter is GIVE_UP_AFTER, how long the vendor's push-back may put a call off.
	GiveUpAfter time.Duration
	// Retention is RETENTION, how long a settled batch can be read. At least 1 min.
	Retention time.Duration
	// RetryMin and RetryMax are RETRY_MIN and RETRY_MAX, the bounds of the back-off.
	// RetryMin is above 0 and not above RetryMax.
	RetryMin, RetryMax time.Duration

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
	// ShutdownTimeout is SHUTDOWN_TIMEOUT, not below CallTimeout.
	ShutdownTimeout time.Duration

	// LogLevel is LOG_LEVEL.
	LogLevel zerolog.Level
	// LogFormat is LOG_FORMAT: "json", "console", or empty for console on a terminal
	// and else json.
	LogFormat string

	warnings []string
}

// Lease is how long a slot stays taken that nobody releases:
// max(CALL_TIMEOUT, VENDOR_TIMEOUT) + SLOT_MARGIN.
func (s Settings) Lease() time.Duration {
	return max(s.CallTimeout, s.VendorTimeout) + s.SlotMargin
}

// Quota is what package quota makes of the settings that all users of a token share.
func (s Settings) Quota() quota.Settings {
	return quota.Settings{
		Slots: s.TokenSlots, Lease: s.Lease(), DefaultLicenses: s.DefaultLicenses, Location: s.Timezone, Guard: s.QuotaGuard,
	}
}

// Warnings are what is allowed but should be seen to, a sentence each, such as a file of
// keys that everybody on this machine can read. None holds a secret.
func (s Settings) Warnings() []string { return slices.Clone(s.warnings) }

// Format writes "[redacted]" under every verb.
func (s Settings) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON gives "[redacted]".
func (s Settings) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
