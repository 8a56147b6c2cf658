package wolkvoxtest

import (
	"io"
	"time"
)

// SlotLimit is how many requests of one token the vendor takes at the same time (vendor's documents).
const SlotLimit = 2

// RequestsPerLicense is how many requests a day one licence of a token allows (vendor's documents).
const RequestsPerLicense = 1000

// CodeStyle says how the envelope's "code" is written: the vendor's documents show both a number and a string.
type CodeStyle string

// The styles of "code".
const (
	CodeNumber CodeStyle = "number" // 202; so is the zero value
	CodeString CodeStyle = "string" // "202"
	CodeMixed  CodeStyle = "mixed"  // one or the other, drawn from the seed
)

// Token is what the vendor knows of a token. The zero value is a good token with one licence.
type Token struct {
	// Bad makes the vendor refuse the token: 403 PLEASE VALIDATE TOKEN.
	Bad bool
	// Licenses of the token; 0 means 1. The day's quota is Licenses x RequestsPerLicense.
	Licenses int
	// Quota is the number of requests a day where it is not Licenses x RequestsPerLicense; 0 means that it is.
	Quota int
	// Used is how many requests somebody else had made with the token on the day when it is first seen
	// here. They bring TOKEN LIMIT EXCEEDED earlier, and are held against nobody: see Account.OverQuota.
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

// Options of a simulator. The zero value is a vendor with no latency and no faults that takes any token.
//
// TokenInfo, Script and the functions given to Hold and Wait are called under the simulator's lock: they
// must return soon and must not call the simulator.
type Options struct {
	// Tokens that are known from the start; SetToken adds more. They win over TokenInfo.
	Tokens map[string]Token
	// TokenInfo tells what the vendor knows of any other token; false means that the token is bad. nil
	// means that every token is good and has one licence.
	TokenInfo func(token string) (Token, bool)

	// Latency is how long the vendor works on a request; 0 means not at all. Jitter is added to it, drawn
	// evenly from [0, Jitter).
	Latency, Jitter time.Duration
	// Script gives each request that passed the checks its fault; nil means no faults. A request that is
	// refused, over a limit for example, is not shown to the script.
	Script Script
	// Seed of the jitter and of CodeMixed; 0 is a seed as any other.
	Seed uint64

	// Code says how the envelope's "code" is written; empty means CodeNumber.
	Code CodeStyle

	// Now is the vendor's clock; nil means time.Now. It must be safe for concurrent use.
	Now func() time.Time
	// Location is where the vendor's day begins; nil means Bogota, UTC-5 all year. (Not documented.)
	Location *time.Location

	// CountersOnly bounds the memory: the account keeps its counters and only those requests that broke a limit,
	// MaxKeptViolations at most. Order, overlaps and repeats can't be judged from it; Log still has all.
	CountersOnly bool
	// Log gets the account as JSON Lines, one at the arrival and one at the end of each request, each in one Write
	// and flushed where the writer has a Flush() error. It has hashes of the tokens, never a token.
	// nil means no log.
	Log io.Writer
}

// MaxKeptViolations bounds the requests that an account with Options.CountersOnly keeps.
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
