package config

// Group says which settings a command has. Groups are bits: join them with |.
type Group int

// The groups. A worker takes All, a producer Keys, Limits and Writing, and a job with no Redis Logging,
// Limits and Calls. Every command with a Redis takes that too.
const (
	// Logging is LOG_LEVEL and LOG_FORMAT.
	Logging Group = 1 << iota
	// Redis is REDIS_URL and REDIS_URL_FILE.
	Redis
	// Keys is HABILITA_KEYS and HABILITA_KEYS_FILE, one of which is then required.
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
