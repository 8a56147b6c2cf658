package wolkvoxtest

import (
	"io"
	"time"
)

// SlotLimit is how many requests of one token the vendor takes at the same time (vendor's documents).
const SlotLimit = 2

// RequestsPerLicense is how many requests a day one licence of a token allows (vendor's documents).
const RequestsPerLicense = 1000

// CodeStyle says how the envelope's "code" is written: the vendor's documents show it as a number and as a string.
type CodeStyle string

// The styles of "code".
const (
	CodeNumber CodeStyle = "number" // 202; the zero value means the same
	CodeString CodeStyle = "string" // "202"
	CodeMixed  CodeStyle = "mixed"  // one or the other, drawn from the seed
)

// Token is what the vendor knows about a token. The zero value is a good token with one licence.
type Token struct {
	// Bad makes the vendor refuse the token: 403 PLEASE VALIDATE TOKEN.
	Bad bool
	// Licenses is the token's number of licences; 0 means 1. The day's quota is Licenses x RequestsPerLicense.
	Licenses int
	// Quota is the number of requests a day, if it is not Licenses x RequestsPerLicense; 0 means that it is.
	Quota int
	// Used is how many requests somebody else had made with the token on the day when it is first seen
	// here. TOKEN LIMIT EXCEEDED then comes earlier, but these are nobody's violation: see Account.OverQuota.
	Used int
	// Operation is the operation's name in answers; empty means "op-" and the token's hash.
	Operation string
}

func (t Token) quota() int {
	switch {
	case t.Bad:
		return 0
	case t.Quota > 0:
		return t.Quota
	default:
		return max(t.Licenses, 1) * RequestsPerLicense
	}
}

// Options configure a simulator. The zero value is a vendor with no latency and no faults that accepts any token.
//
// TokenInfo, Script and the functions given to Hold and Wait are called under the simulator's lock: they
// must return soon and must not call the simulator.
type Options struct {
	// Tokens are known from the start; SetToken adds more. They take precedence over TokenInfo.
	Tokens map[string]Token
	// TokenInfo returns what the vendor knows about any other token; false means that the token is bad. nil
	// means that every token is good and has one licence.
	TokenInfo func(token string) (Token, bool)

	// Latency is how long the vendor works on a request; 0 means not at all. Jitter is added to it, drawn
	// evenly from [0, Jitter).
	Latency, Jitter time.Duration
	// Script chooses the fault of each request that passed the checks; nil means no faults. It does not see a
	// request that is refused, because it is over a limit for example.
	Script Script
	// Seed is for the jitter and for CodeMixed; 0 is a seed like any other.
	Seed uint64

	// Code says how the envelope's "code" is written; empty means CodeNumber.
	Code CodeStyle

	// Now is the vendor's clock; nil means time.Now. It must be safe for concurrent use.
	Now func() time.Time
	// Location is the time zone of the vendor's day; nil means Bogota, UTC-5 all year. (Not documented.)
	Location *time.Location

	// CountersOnly bounds the memory: the account keeps its counters, and only those requests that have a
	// violation, MaxKeptViolations at most. Order, overlaps and repeats can't be judged from it; Log still has all.
	CountersOnly bool
	// Log gets the account as JSON Lines: one at the arrival and one at the end of each request. Each line is one
	// Write; if the writer has a method Flush() error, that follows. The log has hashes of the tokens, never a token.
	// nil means no log.
	Log io.Writer
}

// MaxKeptViolations is how many requests an account with Options.CountersOnly keeps at most.
const MaxKeptViolations = 10_000

func (o Options) withDefaults() Options {
	if o.TokenInfo == nil {
		o.TokenInfo = func(string) (Token, bool) { return Token{}, true }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Location == nil {
		// Colombia has no daylight saving time, so no zone database is needed.
		o.Location = time.FixedZone("America/Bogota", -5*60*60)
	}
	return o
}
