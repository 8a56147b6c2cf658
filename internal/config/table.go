package config

import (
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Row is one setting, for help and documents.
type Row struct {
	// Variable is the environment variable, such as CALL_TIMEOUT.
	Variable string
	// Flag is the flag with its dashes, such as --call-timeout; empty for a secret.
	Flag string
	// Default is the value where nothing is given; empty where there is none.
	Default string
	// Meaning is a phrase of one line, without a full stop.
	Meaning string

	kind  string
	group Group
}

// setting is a line of the table.
type setting struct {
	variable, def, meaning string
	kind                   string // what help calls the value
	group                  Group
	secret                 bool // no flag, and never shown
	optional               bool // a secret that may be left out
	file                   bool // variable + _FILE may hold it
	set                    func(string) error
}

func (d setting) flag() string {
	return strings.ReplaceAll(strings.ToLower(d.variable), "_", "-")
}

// table is every setting, in the order in which documents show them. Each sets its own field.
func (s *Settings) table() []setting {
	return []setting{
		{variable: "REDIS_URL", def: "redis://127.0.0.1:6379/0", kind: "url", group: Redis, file: true, set: s.setRedisURL,
			meaning: "also rediss://, redis-sentinel://..., redis-cluster://h:p,h:p; with a password only in the environment or a file"},
		{variable: "HABILITA_KEYS", kind: "keys", group: Keys, secret: true, file: true, set: s.setKeys,
			meaning: "required; sealing keys, id:base64 of 32 bytes, comma separated; the first one seals, all open"},
		{variable: "WOLKVOX_URL", def: "https://wv{server}.wolkvox.com", kind: "url", group: Calls, set: s.setWolkvoxURL,
			meaning: "base of the vendor's address; plain http for loopback only"},
		{variable: "CALL_TIMEOUT", def: "60s", kind: "duration", group: Limits, set: duration(&s.CallTimeout, time.Millisecond, maxLease),
			meaning: "longest time of a request"},
		{variable: "VENDOR_TIMEOUT", def: "60s", kind: "duration", group: Limits, set: duration(&s.VendorTimeout, time.Millisecond, maxLease),
			meaning: "longest time that the vendor may work on a request"},
		{variable: "SLOT_MARGIN", def: "5s", kind: "duration", group: Limits, set: duration(&s.SlotMargin, 100*time.Millisecond, maxLease),
			meaning: "a slot's lease is max(CALL_TIMEOUT, VENDOR_TIMEOUT) + SLOT_MARGIN"},
		{variable: "CONCURRENCY", def: "1000", kind: "int", group: Calls, set: number(&s.Concurrency, 1, 10_000),
			meaning: "requests in flight for one worker process"},
		{variable: "SERVER_CONCURRENCY", def: "64", kind: "int", group: Calls, set: number(&s.ServerConcurrency, 1, 10_000),
			meaning: "of these, for one server of the vendor; each worker process has its own"},
		{variable: "TOKEN_SLOTS", def: "2", kind: "int", group: Limits, set: number(&s.TokenSlots, 1, 2),
			meaning: "requests in flight for one token, 1 or 2"},
		{variable: "DEFAULT_LICENSES", def: "1", kind: "int", group: Limits, set: number(&s.DefaultLicenses, 1, 1_000_000),
			meaning: "licences of a token for which none were given"},
		{variable: "QUOTA_TIMEZONE", def: "America/Bogota", kind: "zone", group: Limits, set: s.setTimezone,
			meaning: "where the vendor's day begins"},
		{variable: "QUOTA_GUARD", def: "3s", kind: "duration", group: Limits, set: s.setQuotaGuard,
			meaning: "no grants this close to midnight, on either side"},
		{variable: "MAX_ATTEMPTS", def: "12", kind: "int", group: Calls, set: number(&s.MaxAttempts, 1, 1_000_000),
			meaning: "requests sent before a call is given up"},
		{variable: "GIVE_UP_AFTER", def: "24h", kind: "duration", group: Calls, set: duration(&s.GiveUpAfter, time.Millisecond, maxDuration),
			meaning: "how long the vendor's push-back may put a call off (our own slots and quota: as long as it takes)"},
		{variable: "RETENTION", def: "720h", kind: "duration", group: Calls, set: duration(&s.Retention, time.Minute, maxDuration),
			meaning: "how long a settled batch can be read"},
		{variable: "RETRY_MIN", def: "1s", kind: "duration", group: Calls, set: duration(&s.RetryMin, time.Millisecond, maxDuration),
			meaning: "least back-off; exponential with full jitter"},
		{variable: "RETRY_MAX", def: "15m", kind: "duration", group: Calls, set: duration(&s.RetryMax, time.Millisecond, maxDuration),
			meaning: "greatest back-off"},
		{variable: "WAIT_REPLICAS", def: "0", kind: "int", group: Writing, set: number(&s.WaitReplicas, 0, 100),
			meaning: "replicas of Redis that must have a grant, an outcome or a new call before it counts as done; give it to workers and producers"},
		{variable: "QUEUES", def: "1", kind: "int", group: Writing, set: number(&s.Queues, 1, 64),
			meaning: "queues of asynq; several spread its work over the nodes of a cluster. Give it to workers and producers"},
		{variable: "LISTEN", def: "127.0.0.1:8080", kind: "address", group: Pages, set: s.setListen,
			meaning: "health, metrics, HTTP API and pages; off for none. An address that others can reach needs HABILITA_API_KEYS"},
		{variable: "HABILITA_API_KEYS", kind: "keys", group: Pages, secret: true, optional: true, file: true,
			set:     func(v string) error { s.APIKeys = v; return nil },
			meaning: "keys of the HTTP API and pages, NAME:KIND:KEY, comma separated; KIND is write or read; none: open to this machine alone"},
		{variable: "WEBHOOK_URL", kind: "url", group: Webhooks, file: true, set: s.setWebhookURLs,
			meaning: "addresses that events are sent to, comma separated; https, or http on this machine; one that holds a secret only in the environment or a file"},
		{variable: "WEBHOOK_SECRETS", kind: "secrets", group: Webhooks, secret: true, optional: true, file: true, set: s.setWebhookSecrets,
			meaning: "required with WEBHOOK_URL; secrets that sign events, comma separated; all of them sign, so that they can be changed"},
		{variable: "WEBHOOK_EVENTS", kind: "events", group: Webhooks, set: s.setWebhookEvents,
			meaning: "events to send, comma separated; not given: all"},
		{variable: "SHUTDOWN_TIMEOUT", def: "75s", kind: "duration", group: Calls, set: duration(&s.ShutdownTimeout, time.Millisecond, maxDuration),
			meaning: "time for requests in flight to end"},
		{variable: "LOG_LEVEL", def: zerolog.LevelInfoValue, kind: "level", group: Logging, set: s.setLogLevel,
			meaning: "trace, debug, info, warn or error; to stderr"},
		{variable: "LOG_FORMAT", kind: "format", group: Logging, set: s.setLogFormat,
			meaning: "json or console; not given: console on a terminal, else json"},
	}
}

// Describe gives every setting in the order of the documents. The _FILE variable of a
// secret follows it.
func Describe() []Row {
	var rows []Row
	for _, d := range new(Settings).table() {
		row := Row{d.variable, "--" + d.flag(), d.def, d.meaning, d.kind, d.group}
		if d.secret {
			row.Flag = ""
		}
		rows = append(rows, row)
		if d.file {
			rows = append(rows, Row{d.variable + "_FILE", "--" + d.flag() + "-file", "", "file that holds " + d.variable, "path", d.group})
		}
	}
	return rows
}

// Group says which settings a command has. Groups are bits: join them with |.
type Group int

// The groups. A worker takes All, a producer Keys, Limits and Writing, and a job with no Redis Logging,
// Limits and Calls. Every command with a Redis takes that too.
const (
	// Logging is LOG_LEVEL and LOG_FORMAT.
	Logging Group = 1 << iota
	// Redis is REDIS_URL and REDIS_URL_FILE.
	Redis
	// Keys is HABILITA_KEYS and HABILITA_KEYS_FILE. One of the two is then required.
	Keys
	// Limits is what all programs that use a token must agree on: TOKEN_SLOTS,
	// DEFAULT_LICENSES, the vendor's day, and the time-outs that make a slot's lease.
	Limits
	// Calls is how calls are made: WOLKVOX_URL, CONCURRENCY, the attempts and
	// back-off, RETENTION, SHUTDOWN_TIMEOUT.
	Calls
	// Pages is LISTEN and HABILITA_API_KEYS.
	Pages
	// Webhooks is WEBHOOK_URL, WEBHOOK_SECRETS and WEBHOOK_EVENTS.
	Webhooks

	// Writing is WAIT_REPLICAS and QUEUES: how what is written to Redis is kept and spread.
	Writing

	// All is every setting.
	All = Logging | Redis | Keys | Limits | Calls | Pages | Webhooks | Writing
)
