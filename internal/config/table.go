package config

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/engine"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/vault"
	"habilita/internal/web/guard"
	"habilita/internal/webhook"
	"habilita/internal/wolkvox"
)

// Setting is a line of the table, also for help and documents.
type Setting struct {
	Variable string // of the environment, such as CALL_TIMEOUT
	Default  string // used if nothing is given; "" if there is none
	Meaning  string // a phrase of one line, without a full stop

	kind     string // what help calls the value
	group    Group
	secret   bool // no flag, and never shown
	optional bool // a secret that may be left out
	file     bool // Variable + _FILE may hold it
	set      func(string) error
}

// Flag is the flag with its dashes, such as --call-timeout; empty for a secret.
func (d Setting) Flag() string {
	if d.secret {
		return ""
	}
	return "--" + strings.ReplaceAll(strings.ToLower(d.Variable), "_", "-")
}

// inFile is the setting that names the file which holds d.
func (d Setting) inFile() Setting {
	return Setting{Variable: d.Variable + "_FILE", Meaning: "file that holds " + d.Variable, kind: "path", group: d.group}
}

// table is every setting, in the order in which documents show them. Each sets its own field.
func (s *Settings) table() []Setting {
	d := engine.WorkerOptions{}.WithDefaults()
	return []Setting{
		{Variable: "REDIS_URL", Default: "redis://127.0.0.1:6379/0", kind: "url", group: Redis, file: true, set: checked(&s.RedisURL, redisconn.CheckURL),
			Meaning: "also rediss://, redis-sentinel://..., redis-cluster://h:p,h:p; with a password only in the environment or a file"},
		{Variable: "HABILITA_KEYS", kind: "keys", group: Keys, secret: true, file: true, set: checked(&s.Keys, parsed(vault.ParseKeys)),
			Meaning: "required; sealing keys, id:base64 of 32 bytes, separated by commas or line ends; the first one seals, all open"},
		{Variable: "WOLKVOX_URL", Default: wolkvox.DefaultURL, kind: "url", group: Calls, set: checked(&s.WolkvoxURL, wolkvox.CheckURL),
			Meaning: "base of the vendor's address; plain http for loopback only"},
		{Variable: "CALL_TIMEOUT", Default: seconds(d.CallTimeout), kind: "duration", group: Limits, set: duration(&s.CallTimeout, time.Millisecond, quota.MaxLease),
			Meaning: "longest time of a request"},
		{Variable: "VENDOR_TIMEOUT", Default: seconds(d.VendorTimeout), kind: "duration", group: Limits, set: duration(&s.VendorTimeout, time.Millisecond, quota.MaxLease),
			Meaning: "longest time that the vendor may work on a request"},
		{Variable: "SLOT_MARGIN", Default: seconds(d.SlotMargin), kind: "duration", group: Limits, set: duration(&s.SlotMargin, 100*time.Millisecond, quota.MaxLease),
			Meaning: "a slot's lease is max(CALL_TIMEOUT, VENDOR_TIMEOUT) + SLOT_MARGIN"},
		{Variable: "CONCURRENCY", Default: strconv.Itoa(d.Concurrency), kind: "int", group: Calls, set: number(&s.Concurrency, 1, 10_000),
			Meaning: "requests in flight for one worker process"},
		{Variable: "SERVER_CONCURRENCY", Default: strconv.Itoa(d.ServerConcurrency), kind: "int", group: Calls, set: number(&s.ServerConcurrency, 1, 10_000),
			Meaning: "of these, for one server of the vendor; each worker process has its own"},
		{Variable: "TOKEN_SLOTS", Default: strconv.Itoa(quota.DefaultSlots), kind: "int", group: Limits, set: number(&s.Quota.Slots, 1, quota.DefaultSlots),
			Meaning: "requests in flight for one token, 1 or 2"},
		{Variable: "DEFAULT_LICENSES", Default: strconv.Itoa(quota.DefaultLicenses), kind: "int", group: Limits, set: number(&s.Quota.DefaultLicenses, 1, quota.MaxLicenses),
			Meaning: "licences of a token for which none were given"},
		{Variable: "QUOTA_TIMEZONE", Default: quota.DefaultLocation, kind: "zone", group: Redis | Limits, set: s.setTimezone,
			Meaning: "where the vendor's day begins; times for people are in this zone"},
		{Variable: "QUOTA_GUARD", Default: seconds(quota.DefaultGuard), kind: "duration", group: Limits, set: duration(&s.Quota.Guard, 0, quota.MaxGuard-time.Millisecond),
			Meaning: "no grants this close to midnight, on either side"},
		{Variable: "MAX_ATTEMPTS", Default: strconv.Itoa(d.MaxAttempts), kind: "int", group: Calls, set: number(&s.MaxAttempts, 1, 1_000_000),
			Meaning: "requests sent before a call is given up"},
		{Variable: "GIVE_UP_AFTER", Default: short(d.GiveUpAfter), kind: "duration", group: Calls, set: duration(&s.GiveUpAfter, time.Millisecond, engine.MaxDuration),
			Meaning: "how long the vendor's push-back may put a call off (our own slots and quota: as long as it takes)"},
		{Variable: "RETENTION", Default: short(d.Retention), kind: "duration", group: Calls, set: duration(&s.Retention, time.Minute, engine.MaxDuration),
			Meaning: "how long a settled batch can be read"},
		{Variable: "RETRY_MIN", Default: seconds(d.RetryMin), kind: "duration", group: Calls, set: duration(&s.RetryMin, time.Millisecond, engine.MaxDuration),
			Meaning: "least back-off; exponential with full jitter"},
		{Variable: "RETRY_MAX", Default: short(d.RetryMax), kind: "duration", group: Calls, set: duration(&s.RetryMax, time.Millisecond, engine.MaxDuration),
			Meaning: "greatest back-off"},
		{Variable: "WAIT_REPLICAS", Default: "0", kind: "int", group: Writing, set: number(&s.WaitReplicas, 0, redisconn.MaxReplicas),
			Meaning: "replicas of Redis that must have a grant, an outcome or a new call before it counts as done; give it to workers and producers"},
		{Variable: "QUEUES", Default: "1", kind: "int", group: Writing, set: number(&s.Queues, 1, engine.MaxQueues),
			Meaning: "queues of asynq; several spread its work over the nodes of a cluster. Give it to workers and producers"},
		{Variable: "LISTEN", Default: "127.0.0.1:8080", kind: "address", group: Pages, set: s.setListen,
			Meaning: "health, metrics, HTTP API and pages; off for none. An address that others can reach needs HABILITA_API_KEYS"},
		{Variable: "HABILITA_API_KEYS", kind: "keys", group: Pages, secret: true, optional: true, file: true, set: checked(&s.APIKeys, parsed(guard.ParseKeys)),
			Meaning: "keys of the HTTP API and pages, NAME:KIND:KEY, separated by commas or line ends; KIND is write or read; none: open to this machine alone"},
		{Variable: "WEBHOOK_URL", kind: "url", group: Webhooks, file: true, set: checked(&s.WebhookURLs, parsed(webhook.ParseReceivers)),
			Meaning: "addresses that events are sent to, separated by commas or line ends; https, or http on this machine; one that holds a secret only in the environment or a file"},
		{Variable: "WEBHOOK_SECRETS", kind: "secrets", group: Webhooks, secret: true, optional: true, file: true, set: checked(&s.WebhookSecrets, parsed(webhook.NewSigner)),
			Meaning: "required with WEBHOOK_URL; secrets that sign events, separated by commas or line ends; all of them sign, so that they can be changed"},
		{Variable: "WEBHOOK_EVENTS", kind: "events", group: Webhooks, set: checked(&s.WebhookEvents, parsed(webhook.ParseTypes)),
			Meaning: "events to send, comma separated; not given: all"},
		{Variable: "SHUTDOWN_TIMEOUT", Default: seconds(d.ShutdownTimeout), kind: "duration", group: Calls, set: duration(&s.ShutdownTimeout, time.Millisecond, engine.MaxDuration),
			Meaning: "time for requests in flight to end"},
		{Variable: "LOG_LEVEL", Default: zerolog.LevelInfoValue, kind: "level", group: Logging, set: s.setLogLevel,
			Meaning: "trace, debug, info, warn or error; to stderr"},
		{Variable: "LOG_FORMAT", kind: "format", group: Logging, set: checked(&s.LogFormat, oneOf(formatJSON, formatConsole)),
			Meaning: "json or console; not given: console on a terminal, else json"},
	}
}

// Describe returns every setting in the order of the documents. If a file may hold a
// setting, its _FILE variable follows it.
func Describe() (all []Setting) {
	for _, d := range new(Settings).table() {
		all = append(all, d)
		if d.file {
			all = append(all, d.inFile())
		}
	}
	return all
}

// Group says which settings a command has. Groups are bits: join them with |.
type Group int

// The groups. A worker takes All, a producer Keys, Limits and Writing, and a job with no Redis Logging,
// Limits and Calls. Every command that uses Redis takes Redis too.
const (
	// Logging is LOG_LEVEL and LOG_FORMAT.
	Logging Group = 1 << iota
	// Redis is REDIS_URL, REDIS_URL_FILE and, for the times that commands show, QUOTA_TIMEZONE.
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

	// Writing is WAIT_REPLICAS and QUEUES: how writes to Redis are kept and spread.
	Writing

	// All is every setting.
	All = Logging | Redis | Keys | Limits | Calls | Pages | Webhooks | Writing
)

// The functions below set a value, or say in their error what is wanted; the caller names the
// variable and the value.

// checked sets a text that check accepts.
func checked(field *string, check func(string) error) func(string) error {
	return func(v string) error {
		err := check(v)
		if err == nil {
			*field = v
		}
		return err
	}
}

// plainURL is an address that can't hold a secret: hosts, ports, a path. Anything but a number in the place of a port
// may be the password of a URL that lacks its host.
var plainURL = regexp.MustCompile(`^[A-Za-z-]+://` + plainHost + `(,` + plainHost + `)*(/[A-Za-z0-9._/{}-]*)?$`)

const plainHost = `([A-Za-z0-9.{}-]*|\[[0-9A-Fa-f:.]*\])(:[0-9]{1,5})?`

// carriesSecret reports whether an address may hold a password: it has a user, or a query
// with one. In doubt it does.
func carriesSecret(v string) bool {
	_, query, _ := strings.Cut(strings.ToLower(v), "?")
	return strings.Contains(v, "@") || strings.Contains(query, "pass") || strings.Contains(query, "user")
}

func (s *Settings) setListen(v string) error {
	if v == "off" {
		s.Listen = ""
		return nil
	}
	host, port, err := net.SplitHostPort(v)
	n, notNumber := strconv.ParseUint(port, 10, 16)
	if err != nil || notNumber != nil || strings.ContainsAny(host, " /@") || strconv.FormatUint(n, 10) != port {
		return errors.New("want host:port with a port from 0 to 65535, such as 127.0.0.1:8080, or off")
	}
	s.Listen = v
	return nil
}

// parsed accepts what a parser accepts. The processes parse the value only when they need it, which is too late to report a
// wrong setting.
func parsed[T any](parse func(string) (T, error)) func(string) error {
	return func(v string) error { _, err := parse(v); return err }
}

func duration(field *time.Duration, least, most time.Duration) func(string) error {
	return func(v string) error {
		d, err := time.ParseDuration(v)
		switch {
		case err != nil:
			return errors.New("want a duration, such as 500ms, 60s, 15m or 720h")
		case d < least || d > most:
			return fmt.Errorf("want a duration from %s to %s", short(least), short(most))
		case d%time.Millisecond != 0:
			return errors.New("want whole milliseconds")
		}
		*field = d
		return nil
	}
}

// short writes a duration as people write it: 12h, not 12h0m0s.
func short(d time.Duration) string {
	return strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(d.String())
}

// seconds writes a time-out as people write it: 75s, not 1m15s.
func seconds(d time.Duration) string { return strconv.Itoa(int(d/time.Second)) + "s" }

func number(field *int, least, most int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("want a whole number from %d to %d", least, most)
		}
		*field = n
		return nil
	}
}

func (s *Settings) setTimezone(v string) (err error) {
	// "Local" would be another zone on another machine under the same name.
	if s.Quota.Location, err = time.LoadLocation(v); err != nil || v == "Local" {
		return errors.New("want a zone of the IANA database, such as America/Bogota or UTC")
	}
	return nil
}

func (s *Settings) setLogLevel(v string) (err error) {
	if err := oneOf("trace", "debug", "info", "warn", "error")(v); err != nil {
		return err
	}
	s.LogLevel, err = zerolog.ParseLevel(v)
	return err
}

func oneOf(words ...string) func(string) error {
	return func(v string) error {
		if slices.Contains(words, v) {
			return nil
		}
		last := len(words) - 1
		return fmt.Errorf("want %s or %s", strings.Join(words[:last], ", "), words[last])
	}
}
