package tasks

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"habilita/internal/agreement"
	"habilita/quota"
)

// The terms of the limits. All that grant requests agree on them.
const (
	termSlots           = "TOKEN_SLOTS"
	termCallTimeout     = "CALL_TIMEOUT"
	termVendorTimeout   = "VENDOR_TIMEOUT"
	termSlotMargin      = "SLOT_MARGIN"
	termZone            = "QUOTA_TIMEZONE"
	termDefaultLicenses = "DEFAULT_LICENSES"
	termGuard           = "QUOTA_GUARD"
)

// Limiter is for a program that sends requests of its own with tokens for which workers make
// calls: it grants under the same slots and the same count of the day. Its names of tokens
// are those of TokenID.
//
// Settings that the options leave at zero are those of the workers that run; where none
// does, the defaults. Others must be those of the workers: else the error is a
// *agreement.DisagreementError, and likewise for a worker that starts later with others.
// Every call returns the same Limiter, which holds until the producer is closed.
func (p *Producer) Limiter(ctx context.Context) (*quota.Limiter, error) {
	p.limiting.Lock()
	defer p.limiting.Unlock()
	if err := p.usable(); err != nil {
		return nil, err
	}
	if p.limiter != nil {
		return p.limiter, nil
	}
	terms, err := p.registry.Terms(ctx)
	if err != nil {
		return nil, err
	}
	s, terms, err := limits(p.asked, terms)
	if err != nil {
		return nil, err
	}
	s.Prefix = p.prefix
	terms[TermNamingKey] = p.namer.Fingerprint()
	l, err := quota.New(p.rdb, s)
	if err != nil {
		return nil, err
	}
	member, err := p.registry.Join(ctx, agreement.Self("limiter", version(), time.Now()), terms)
	if err != nil {
		return nil, err
	}
	p.keep(member)
	p.limiter, p.grants = l, member
	return l, nil
}

// limits fills in what was not asked for: from the terms that others agreed on, or with the
// defaults. The terms that it returns are those of the settings.
func limits(asked quota.Settings, agreed agreement.Terms) (quota.Settings, agreement.Terms, error) {
	s, err := asked.WithDefaults()
	if err != nil {
		return s, nil, err
	}
	mine := agreement.Terms{
		termSlots: fmt.Sprint(s.Slots), termZone: s.Location.String(), termDefaultLicenses: fmt.Sprint(s.DefaultLicenses), termGuard: s.Guard.String(),
		termCallTimeout: time.Minute.String(), termVendorTimeout: time.Minute.String(), termSlotMargin: (5 * time.Second).String(),
	}
	take := func(free bool, names ...string) {
		for _, name := range names {
			if v, ok := agreed[name]; ok && free {
				mine[name] = v
			}
		}
	}
	take(asked.Slots == 0, termSlots)
	take(asked.Location == nil, termZone)
	take(asked.DefaultLicenses == 0, termDefaultLicenses)
	take(asked.Guard == 0, termGuard)
	take(true, termCallTimeout, termVendorTimeout, termSlotMargin)

	fault := func(name string, err error) error { return fmt.Errorf("what others agreed on as %s: %w", name, err) }
	number := func(name string, to *int) {
		if n, nerr := strconv.Atoi(mine[name]); nerr != nil {
			err = fault(name, nerr)
		} else {
			*to = n
		}
	}
	number(termSlots, &s.Slots)
	number(termDefaultLicenses, &s.DefaultLicenses)
	var call, vendor, margin time.Duration
	for name, to := range map[string]*time.Duration{termCallTimeout: &call, termVendorTimeout: &vendor, termSlotMargin: &margin, termGuard: &s.Guard} {
		d, derr := time.ParseDuration(mine[name])
		if derr != nil {
			err = fault(name, derr)
		}
		*to = d
	}
	if mine[termZone] != s.Location.String() {
		loc, lerr := time.LoadLocation(mine[termZone])
		if lerr != nil {
			err = fault(termZone, lerr)
		}
		s.Location = loc
	}
	if err != nil {
		return s, nil, err
	}
	lease := max(call, vendor) + margin
	if asked.Lease != 0 && asked.Lease != lease {
		return s, nil, fmt.Errorf("Quota.Lease is %v, and the lease of a slot is %v, from CALL_TIMEOUT, VENDOR_TIMEOUT and SLOT_MARGIN: leave it at zero", asked.Lease, lease)
	}
	s.Lease = lease
	return s, mine, nil
}
