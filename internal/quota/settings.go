package quota

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// The defaults of Settings.
const (
	DefaultPrefix = "habilita"
	// DefaultSlots is the vendor's limit: "EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS
	// PER TOKEN (2)" is its refusal.
	DefaultSlots = 2
	// DefaultLease is the 60 s that the vendor's documents allow a request, and 5 s to
	// write it.
	DefaultLease = 65 * time.Second
	// DefaultGuard kept the count within the quota with 2 s of clock difference and
	// 0.8 s of delay.
	DefaultGuard = 3 * time.Second
	// DefaultLocation is the vendor's country. Its documents do not say when its day
	// begins.
	DefaultLocation = "America/Bogota"
	// DefaultLicenses gives the smallest quota.
	DefaultLicenses = 1
)

// RequestsPerLicense is what the vendor's documents allow a token in a day for each
// licence of its operation.
const RequestsPerLicense = 1000

// MaxLicenses is the most that a token may have, so that no quota overflows. Rows have the same limit.
const MaxLicenses = 1_000_000

// The most that Settings may say.
const (
	MaxLease = 12 * time.Hour // a lease crosses one midnight at most
	MaxGuard = time.Hour
)

// Settings are the limits. All programs that use a token must agree on them. The
// zero value means the defaults.
type Settings struct {
	// Prefix of all key names; letters, digits and ".:_-". Default "habilita".
	Prefix string
	// Slots is how many requests of a token may be in flight, 1 or 2. Default 2.
	Slots int
	// Lease is how long a slot stays taken if nobody releases it. It must be longer
	// than the vendor may work on a request, and than the caller waits for it. From
	// 1 ms to 12 h, in whole milliseconds. Default 65 s.
	Lease time.Duration
	// DefaultLicenses is for tokens that SetLicenses said nothing about, 1 to MaxLicenses.
	// Default 1, the smallest quota.
	DefaultLicenses int
	// Location is where the vendor's day begins. Default America/Bogota; a program
	// in an image without a zone database imports time/tzdata.
	Location *time.Location
	// Guard is the time before and after midnight without grants. From 1 ms to 1 h,
	// in whole milliseconds. Default 3 s.
	Guard time.Duration
}

// WithDefaults returns a copy with a default for each field that was zero. The error has every fault of
// the other fields at once (errors.Join), or says that the default location can't be loaded: no zone database.
func (s Settings) WithDefaults() (Settings, error) {
	s.Prefix, s.Slots, s.Lease = cmp.Or(s.Prefix, DefaultPrefix), cmp.Or(s.Slots, DefaultSlots), cmp.Or(s.Lease, DefaultLease)
	s.DefaultLicenses, s.Guard = cmp.Or(s.DefaultLicenses, DefaultLicenses), cmp.Or(s.Guard, DefaultGuard)
	if s.Location == nil {
		loc, err := defaultLocation()
		if err != nil {
			return s, fmt.Errorf("quota: Location: %w (import time/tzdata where there is no zone database)", err)
		}
		s.Location = loc
	}
	return s, s.validate()
}

var defaultLocation = sync.OnceValues(func() (*time.Location, error) { return time.LoadLocation(DefaultLocation) })

var prefixForm = regexp.MustCompile(`^[A-Za-z0-9.:_-]+$`)

func (s Settings) validate() error {
	var faults []error
	fault := func(format string, a ...any) { faults = append(faults, fmt.Errorf("quota: "+format, a...)) }
	if !prefixForm.MatchString(s.Prefix) {
		fault("Prefix %q: want letters, digits and .:_- only", s.Prefix)
	}
	if s.Slots < 1 || s.Slots > DefaultSlots {
		fault("Slots %d: want 1 or %d, the vendor's limit", s.Slots, DefaultSlots)
	}
	if s.Lease < time.Millisecond || s.Lease > MaxLease || s.Lease%time.Millisecond != 0 {
		fault("Lease %v: want whole milliseconds from 1ms to %v", s.Lease, MaxLease)
	}
	if s.DefaultLicenses < 1 || s.DefaultLicenses > MaxLicenses {
		fault("DefaultLicenses %d: want 1 to %d", s.DefaultLicenses, MaxLicenses)
	}
	if s.Guard < time.Millisecond || s.Guard > MaxGuard || s.Guard%time.Millisecond != 0 {
		fault("Guard %v: want whole milliseconds from 1ms to %v", s.Guard, MaxGuard)
	}
	return errors.Join(faults...)
}

// Args returns the 14 arguments that quota.settings(i) of the library reads: slots,
// lease ms, licences if none are known, guard ms, and not before ms (0: no freeze; below
// 0 if the caller knows that the bucket has its epoch). Then come the start in ms and
// the label (YYYYMMDD) of yesterday, today, tomorrow and the day after, and the start of
// the day after that. The days are those around serverNow. The caller may append to the
// slice.
//
// known says that every bucket has its epoch: if one has none, Redis has lost its data, and
// nothing is granted there for one lease. Settings must come from WithDefaults.
func (s Settings) Args(serverNow time.Time, notBefore int64, known bool) []any {
	if known {
		notBefore = -max(1, notBefore)
	}
	args := append(make([]any, 0, 14), s.Slots, s.Lease.Milliseconds(), s.DefaultLicenses, s.Guard.Milliseconds(), notBefore)
	return append(args, windowAt(s.Location, serverNow).args[:]...)
}

func text(n int64) string { return strconv.FormatInt(n, 10) }
