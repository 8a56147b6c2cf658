package wolkvoxtest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind names a fault; the names are those of the simulate command's --faults.
type Kind string

// The kinds of faults. "Done" means that the module was enabled all the same. Every kind but ResetBefore takes
// the vendor's usual working time first.
const (
	None           Kind = ""             // no fault. Done.
	Status500      Kind = "500"          // 500 with an envelope
	Status502      Kind = "502"          // 502 with a proxy's HTML page
	Status503      Kind = "503"          // 503 with a proxy's HTML page; Retry-After if Fault.RetryAfter is set
	TooMany        Kind = "429"          // 429 with Retry-After, "2" unless Fault.RetryAfter is set
	TokenLimit     Kind = "token-limit"  // 403 TOKEN LIMIT EXCEEDED
	Simultaneous   Kind = "simultaneous" // 403 EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN (2)
	BadToken       Kind = "bad-token"    // 403 PLEASE VALIDATE TOKEN
	Maintenance    Kind = "maintenance"  // 403 with an unknown text (the vendor's is not known)
	HTML           Kind = "html"         // 200 with an HTML page instead of the envelope
	Redirect       Kind = "redirect"     // 307 to a path that does not exist; a caller that follows it gets a "path" violation
	Cut            Kind = "cut"          // half of the body announced, then the connection closes. Done.
	Empty          Kind = "empty"        // the status of a success and no body. Done.
	Garbage        Kind = "garbage"      // a body that is not JSON. Done.
	BOM            Kind = "bom"          // a byte order mark before the envelope. Done.
	WrongType      Kind = "wrong-type"   // the envelope as text/html. Done.
	Oversized      Kind = "oversized"    // an envelope of 8 MiB. Done.
	ResetBefore    Kind = "reset-before" // the connection is reset, no work was done
	ResetAfter     Kind = "reset-after"  // the work is done, then the connection is reset. Done.
	Slow           Kind = "slow"         // works Fault.Delay longer, 90 s if 0, then answers. Done.
	Drip           Kind = "drip"         // the answer comes in pieces over Fault.Delay, 1 s if 0. Done.
	oversized           = 8 << 20
	defaultSlow         = 90 * time.Second
	defaultDrip         = time.Second
	defaultBackoff      = "2"
)

// Fault is what goes wrong with one request. The zero value is no fault.
type Fault struct {
	Kind Kind
	// Delay is added to the time of work; for Drip it is how long the answer takes. 0 means none, or the kind's default.
	Delay time.Duration
	// RetryAfter is the header's value, seconds or an HTTP date, sent as it is; empty means none, or the kind's default.
	RetryAfter string
}

// done are the kinds under which the module is enabled.
var done = map[Kind]bool{
	None: true, Cut: true, Empty: true, Garbage: true, BOM: true, WrongType: true, Oversized: true,
	ResetAfter: true, Slow: true, Drip: true,
}

// Kinds lists every kind of fault but None, in the order of the documentation.
func Kinds() []Kind {
	return []Kind{
		Status500, Status502, Status503, TooMany, TokenLimit, Simultaneous, BadToken, Maintenance, HTML, Redirect,
		Cut, Empty, Garbage, BOM, WrongType, Oversized, ResetBefore, ResetAfter, Slow, Drip,
	}
}

// Passing lists the kinds after which another attempt may succeed, at once or after a short while. It leaves out those
// that end a call (BadToken, Redirect), close the token until midnight (TokenLimit), outlast a time-out (Slow)
// or are too long for everyday use (Oversized).
func Passing() []Kind {
	return slices.DeleteFunc(Kinds(), func(k Kind) bool {
		return slices.Contains([]Kind{BadToken, Redirect, TokenLimit, Slow, Oversized}, k)
	})
}

// Faults makes a plain fault of each kind.
func Faults(kinds ...Kind) []Fault {
	fs := make([]Fault, len(kinds))
	for i, k := range kinds {
		fs[i] = Fault{Kind: k}
	}
	return fs
}

// ParseFault reads a fault as NAME or NAME:DELAY, for example "slow:2s". For an unknown name, the error lists the known
// ones.
func ParseFault(text string) (Fault, error) {
	name, delay, timed := strings.Cut(strings.TrimSpace(text), ":")
	f := Fault{Kind: Kind(name)}
	if !slices.Contains(Kinds(), f.Kind) {
		return Fault{}, fmt.Errorf("fault %q: want one of %v", name, Kinds())
	}
	if timed {
		d, err := time.ParseDuration(delay)
		if err != nil || d < 0 {
			return Fault{}, fmt.Errorf("fault %q: delay %q: want a duration such as 2s", name, delay)
		}
		f.Delay = d
	}
	return f, nil
}

// extraWork is what the fault adds to the time of work.
func (f Fault) extraWork() time.Duration {
	switch {
	case f.Kind == Drip:
		return 0
	case f.Kind == Slow && f.Delay == 0:
		return defaultSlow
	default:
		return f.Delay
	}
}

// hides says whether the fault kept the success of a request that was done from its caller: no complete, readable answer
// told it. BOM and WrongType do not hide it: a caller is expected to read these.
func (f Fault) hides() bool {
	return !slices.Contains([]Kind{None, BOM, WrongType, Slow, Drip}, f.Kind)
}
