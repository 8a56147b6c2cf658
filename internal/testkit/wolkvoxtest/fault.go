package wolkvoxtest

import (
	"fmt"
	"strings"
	"time"
)

// Kind names a fault; the names are those of the simulate command's --faults.
type Kind string

// The kinds of faults. "Done" says that the module was enabled all the same. Every one but ResetBefore takes
// the vendor's usual working time first.
const (
	None           Kind = ""             // no fault. Done.
	Status500      Kind = "500"          // 500 with an envelope
	Status502      Kind = "502"          // 502 with a proxy's HTML page
	Status503      Kind = "503"          // 503 with a proxy's HTML page; Retry-After where Fault.RetryAfter is set
	TooMany        Kind = "429"          // 429 with Retry-After, "2" unless Fault.RetryAfter is set
	TokenLimit     Kind = "token-limit"  // 403 TOKEN LIMIT EXCEEDED
	Simultaneous   Kind = "simultaneous" // 403 EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN (2)
	BadToken       Kind = "bad-token"    // 403 PLEASE VALIDATE TOKEN
	Maintenance    Kind = "maintenance"  // 403 with an unknown text (the vendor's is not known)
	HTML           Kind = "html"         // 200 with an HTML page in place of the envelope
	Redirect       Kind = "redirect"     // 307 to a path that does not exist; who follows is found out: "path" violation
	Cut            Kind = "cut"          // half of the body announced, then the connection closes. Done.
	Empty          Kind = "empty"        // the status of a success and no body. Done.
	Garbage        Kind = "garbage"      // a body that is no JSON. Done.
	BOM            Kind = "bom"          // a byte order mark before the envelope. Done.
	WrongType      Kind = "wrong-type"   // the envelope as text/html. Done.
	Oversized      Kind = "oversized"    // an envelope of Fault.Size bytes, 8 MiB if 0. Done.
	ResetBefore    Kind = "reset-before" // the connection is reset, no work was done
	ResetAfter     Kind = "reset-after"  // the work is done, then the connection is reset. Done.
	Slow           Kind = "slow"         // works Fault.Delay longer, 90 s if 0, then answers. Done.
	Drip           Kind = "drip"         // the answer comes in pieces over Fault.Delay, 1 s if 0. Done.
	Custom         Kind = "custom"       // answers Fault.Status, Fault.ContentType and Fault.Body
	defaultSize         = 8 << 20
	defaultSlow         = 90 * time.Second
	defaultDrip         = time.Second
	defaultBackoff      = "2"
)

// Work says whether the module is enabled under a fault.
type Work int

// The values of Fault.Work.
const (
	WorkAsUsual Work = iota // as the fault's kind has it
	WorkDone                // the module is enabled, whatever is answered
	WorkNotDone             // the module is not enabled, whatever is answered
)

// Fault is what goes wrong with one request. The zero value is no fault.
type Fault struct {
	Kind Kind
	// Delay is added to the time of work; for Drip it is how long the answer takes. 0 means none, or the kind's default.
	Delay time.Duration
	// Status is the HTTP status in place of the kind's own, so that status and "code" disagree; 0 means the kind's own.
	Status int
	// RetryAfter is the header's value, seconds or an HTTP date, sent as it is; empty means none, or the kind's default.
	RetryAfter string
	// Size of an Oversized body in bytes; 0 means 8 MiB.
	Size int
	// Body and ContentType of a Custom answer; an empty ContentType means application/json.
	Body, ContentType string
	// Work overrides whether the module is enabled.
	Work Work
}

var done = map[Kind]bool{
	None: true, Cut: true, Empty: true, Garbage: true, BOM: true, WrongType: true, Oversized: true,
	ResetAfter: true, Slow: true, Drip: true,
}

// Kinds lists every kind of fault but None, in the order of the documentation.
func Kinds() []Kind {
	return []Kind{
		Status500, Status502, Status503, TooMany, TokenLimit, Simultaneous, BadToken, Maintenance, HTML, Redirect,
		Cut, Empty, Garbage, BOM, WrongType, Oversized, ResetBefore, ResetAfter, Slow, Drip, Custom,
	}
}

// Passing lists the kinds after which another attempt at once, or after a short while, may succeed: without those
// that end a call (BadToken, Redirect), close the token until midnight (TokenLimit), outlast a time-out (Slow)
// or need more to be said (Custom).
func Passing() []Kind {
	return []Kind{
		Status500, Status502, Status503, TooMany, Simultaneous, Maintenance, HTML,
		Cut, Empty, Garbage, BOM, WrongType, ResetBefore, ResetAfter, Drip,
	}
}

// Faults makes plain faults of kinds.
func Faults(kinds ...Kind) []Fault {
	fs := make([]Fault, len(kinds))
	for i, k := range kinds {
		fs[i] = Fault{Kind: k}
	}
	return fs
}

// ParseFault reads a fault as NAME or NAME:DELAY, for example "slow:2s". An unknown name is an error that lists those
// that there are.
func ParseFault(text string) (Fault, error) {
	name, delay, timed := strings.Cut(strings.TrimSpace(text), ":")
	f := Fault{}
	for _, k := range Kinds() {
		if string(k) == name {
			f.Kind = k
		}
	}
	if f.Kind == None {
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

// does says whether the module is enabled under the fault.
func (f Fault) does() bool {
	switch f.Work {
	case WorkDone:
		return true
	case WorkNotDone:
		return false
	default:
		return done[f.Kind]
	}
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

func (f Fault) dripTime() time.Duration {
	if f.Delay == 0 {
		return defaultDrip
	}
	return f.Delay
}

// hides says whether the caller of a request that was done can't have learnt so from a complete, readable answer.
// BOM and WrongType are not among them: a caller is expected to read these.
func (f Fault) hides() bool {
	switch f.Kind {
	case None, BOM, WrongType, Slow, Drip:
		return f.Status != 0 && (f.Status < 200 || f.Status > 202)
	default:
		return true
	}
}
