package engine

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"habilita/internal/membership"
	"habilita/internal/quota"
)

// The shared settings of the limits. All that grant requests agree on them.
const (
	settingSlots           = "TOKEN_SLOTS"
	settingCallTimeout     = "CALL_TIMEOUT"
	settingVendorTimeout   = "VENDOR_TIMEOUT"
	settingSlotMargin      = "SLOT_MARGIN"
	settingZone            = "QUOTA_TIMEZONE"
	settingDefaultLicenses = "DEFAULT_LICENSES"
	settingGuard           = "QUOTA_GUARD"
)

// Limiter is for a program that sends requests of its own with tokens for which workers make
// calls: it grants under the same slots and the same count of the day. Its names of tokens
// are those of TokenID.
//
// Settings that the options leave at zero are those of the workers that run; where none
// does, the defaults. Others must be those of the workers: else the error is a
// *membership.MismatchError, and likewise for a worker that starts later with others.
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
	settings, err := p.registry.Settings(ctx)
	if err != nil {
		return nil, err
	}
	s, settings, err := limits(p.asked, settings)
	if err != nil {
		return nil, err
	}
	s.Prefix = p.prefix
	settings[membership.TokenIDKey] = p.tokenIDs.Fingerprint()
	l, err := quota.New(p.rdb, s)
	if err != nil {
		return nil, err
	}
	member, err := p.registry.Join(ctx, membership.Self("limiter", version(), time.Now()), settings)
	if err != nil {
		return nil, err
	}
	p.keep(member)
	p.limiter, p.grants = l, member
	return l, nil
}

// limits fills in what was not asked for: from the shared settings that others agreed on, or with the
// defaults. The shared settings that it returns are those of the settings.
func limits(asked quota.Settings, agreed membership.Settings) (quota.Settings, membership.Settings, error) {
	s, err := asked.WithDefaults()
	if err != nil {
		return s, nil, err
	}
	mine := membership.Settings{
		settingSlots: fmt.Sprint(s.Slots), settingZone: s.Location.String(), settingDefaultLicenses: fmt.Sprint(s.DefaultLicenses), settingGuard: s.Guard.String(),
		settingCallTimeout: time.Minute.String(), settingVendorTimeout: time.Minute.String(), settingSlotMargin: (5 * time.Second).String(),
	}
	take := func(free bool, names ...string) {
		for _, name := range names {
			if v, ok := agreed[name]; ok && free {
				mine[name] = v
			}
		}
	}
	take(asked.Slots == 0, settingSlots)
	take(asked.Location == nil, settingZone)
	take(asked.DefaultLicenses == 0, settingDefaultLicenses)
	take(asked.Guard == 0, settingGuard)
	take(true, settingCallTimeout, settingVendorTimeout, settingSlotMargin)

	fault := func(name string, err error) error { return fmt.Errorf("what others agreed on as %s: %w", name, err) }
	number := func(name string, to *int) {
		if n, nerr := strconv.Atoi(mine[name]); nerr != nil {
			err = fault(name, nerr)
		} else {
			*to = n
		}
	}
	number(settingSlots, &s.Slots)
	number(settingDefaultLicenses, &s.DefaultLicenses)
	var call, vendor, margin time.Duration
	for name, to := range map[string]*time.Duration{settingCallTimeout: &call, settingVendorTimeout: &vendor, settingSlotMargin: &margin, settingGuard: &s.Guard} {
		d, derr := time.ParseDuration(mine[name])
		if derr != nil {
			err = fault(name, derr)
		}
		*to = d
	}
	if mine[settingZone] != s.Location.String() {
		loc, lerr := time.LoadLocation(mine[settingZone])
		if lerr != nil {
			err = fault(settingZone, lerr)
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
