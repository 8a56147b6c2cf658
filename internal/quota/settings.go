package quota

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// What Settings say where they are left at zero.
const (
	DefaultPrefix = "habilita"
	// DefaultSlots is the vendor's limit: "EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS
	// PER TOKEN (2)" is its refusal.
	DefaultSlots = 2
	// DefaultLease is the 60 s that the vendor's documents allow a request, and 5 s to
	// write it.
	DefaultLease = 65 * time.Second
	// DefaultGuard held the count at the quota with 2 s of clock difference and 0.8 s
	// of delay.
	DefaultGuard = 3 * time.Second
	// DefaultLocation is the vendor's country. Its documents do not say when its day
	// begins.
	DefaultLocation = "America/Bogota"
)

// RequestsPerLicense is what the vendor's documents allow a token in a day for each
// licence of its operation.
const RequestsPerLicense = 1000

const (
	maxLease = 12 * time.Hour // a lease crosses one midnight at most
	maxGuard = time.Hour
)

// Settings are the limits. All programs that use a token must agree on them. The
// zero value means the defaults.
type Settings struct {
	// Prefix of all key names; letters, digits and ".:_-". Default "habilita".
	Prefix string
	// Slots is how many requests of a token may be in flight, 1 or 2. Default 2.
	Slots int
	// Lease is how long a slot stays taken that nobody releases: longer than the
	// vendor may work on a request, and than the caller waits for it. From 1 ms to
	// 12 h, in whole milliseconds. Default 65 s.
	Lease time.Duration
	// DefaultLicenses is for tokens that SetLicenses said nothing about, at least 1.
	// Default 1, the smallest quota.
	DefaultLicenses int
	// Location is where the vendor's day begins. Default America/Bogota; a program
	// in an image without a zone database imports time/tzdata.
	Location *time.Location
	// Guard is the time before and after midnight without grants. From 1 ms to 1 h,
	// in whole milliseconds. Default 3 s.
	Guard time.Duration

	days *calendar // set by WithDefaults; of Location
}

// WithDefaults returns a copy with a value for all that was zero. The error says
// that the default location can't be loaded: no zone database.
func (s Settings) WithDefaults() (Settings, error) {
	if s.Prefix == "" {
		s.Prefix = DefaultPrefix
	}
	if s.Slots == 0 {
		s.Slots = DefaultSlots
	}
	if s.Lease == 0 {
		s.Lease = DefaultLease
	}
	if s.DefaultLicenses == 0 {
		s.DefaultLicenses = 1
	}
	if s.Guard == 0 {
		s.Guard = DefaultGuard
	}
	if s.Location == nil {
		loc, err := time.LoadLocation(DefaultLocation)
		if err != nil {
			return s, fmt.Errorf("quota: Location: %w (import time/tzdata where there is no zone database)", err)
		}
		s.Location = loc
	}
	if s.days == nil || s.days.loc != s.Location {
		s.days = &calendar{loc: s.Location}
	}
	return s, nil
}

var prefixForm = regexp.MustCompile(`^[A-Za-z0-9.:_-]+$`)

// Validate reports every fault at once (errors.Join). Settings are to be complete:
// WithDefaults comes first.
func (s Settings) Validate() error {
	var faults []error
	fault := func(format string, a ...any) { faults = append(faults, fmt.Errorf("quota: "+format, a...)) }
	if !prefixForm.MatchString(s.Prefix) {
		fault("Prefix %q: want letters, digits and .:_- only", s.Prefix)
	}
	if s.Slots < 1 || s.Slots > DefaultSlots {
		fault("Slots %d: want 1 or %d, the vendor's limit", s.Slots, DefaultSlots)
	}
	if s.Lease < time.Millisecond || s.Lease > maxLease || s.Lease%time.Millisecond != 0 {
		fault("Lease %v: want whole milliseconds from 1ms to %v", s.Lease, maxLease)
	}
	if s.DefaultLicenses < 1 {
		fault("DefaultLicenses %d: want at least 1", s.DefaultLicenses)
	}
	if s.Guard < time.Millisecond || s.Guard > maxGuard || s.Guard%time.Millisecond != 0 {
		fault("Guard %v: want whole milliseconds from 1ms to %v", s.Guard, maxGuard)
	}
	if s.Location == nil {
		fault("Location is missing: WithDefaults fills it in")
	}
	return errors.Join(faults...)
}

// Args are the 14 arguments that quota.settings(i) of the library reads: slots,
// lease ms, licences where none are known, guard ms, not before ms (0 where zero; below 0
// where the caller knows that every bucket has its epoch),
// and then the start in ms and the label (YYYYMMDD) of yesterday, today, tomorrow
// and the day after, and the start of the day after that. The days are those around
// serverNow. The slice is the caller's to append to.
//
// Settings are to come from WithDefaults, which keeps the days until midnight. Safe
// for concurrent use.
func (s Settings) Args(serverNow, notBefore time.Time) []any {
	return s.appendArgs(make([]any, 0, 14), serverNow, millis(notBefore), false)
}

// KnownArgs are Args for a program that has made the epoch of every bucket, so that one
// without is one whose data Redis has lost: nothing is granted there for one lease.
func (s Settings) KnownArgs(serverNow, notBefore time.Time) []any {
	return s.appendArgs(make([]any, 0, 14), serverNow, millis(notBefore), true)
}

func (s Settings) appendArgs(to []any, serverNow time.Time, notBefore int64, known bool) []any {
	if known {
		notBefore = -max(1, notBefore)
	}
	w := s.window(serverNow)
	to = append(to, s.Slots, s.Lease.Milliseconds(), s.DefaultLicenses, s.Guard.Milliseconds(), notBefore)
	return append(to, w.args[:]...)
}

func (s Settings) window(now time.Time) *window {
	if s.days != nil && s.days.loc == s.Location {
		return s.days.at(now)
	}
	return newWindow(s.Location, now)
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func text(n int64) string { return strconv.FormatInt(n, 10) }
