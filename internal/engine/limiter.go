package engine

import (
	"cmp"
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
	s, settings, err := limits(p.asked, settings, p.tokenIDs.Fingerprint())
	if err != nil {
		return nil, err
	}
	s.Prefix = p.prefix
	l, err := quota.New(p.rdb, s)
	if err != nil {
		return nil, err
	}
	member, err := p.registry.Join(ctx, membership.Self("limiter", version(), time.Now()), settings)
	if err != nil {
		return nil, err
	}
	p.keep(member)
	p.limiter = l
	return l, nil
}

// sharedSettings are those of the limits, and of the token-ID key, by its fingerprint.
func sharedSettings(s quota.Settings, key string, call, vendor, margin time.Duration) membership.Settings {
	return membership.Settings{
		membership.TokenIDKey:  key,
		settingSlots:           fmt.Sprint(s.Slots),
		settingCallTimeout:     call.String(),
		settingVendorTimeout:   vendor.String(),
		settingSlotMargin:      margin.String(),
		settingZone:            s.Location.String(),
		settingDefaultLicenses: fmt.Sprint(s.DefaultLicenses),
		settingGuard:           s.Guard.String(),
	}
}

// limits fills in what was not asked for: from the shared settings that others agreed on, or with the
// defaults. The shared settings that it returns are those of the settings.
func limits(asked quota.Settings, agreed membership.Settings, key string) (quota.Settings, membership.Settings, error) {
	// What can't be read is not what the settings come to, so the others refuse it.
	number := func(name string) int { n, _ := strconv.Atoi(agreed[name]); return n }
	span := func(name string, or time.Duration) time.Duration {
		d, _ := time.ParseDuration(agreed[name])
		return cmp.Or(d, or)
	}
	call, vendor, margin := span(settingCallTimeout, time.Minute), span(settingVendorTimeout, time.Minute), span(settingSlotMargin, 5*time.Second)
	lease := max(call, vendor) + margin
	if asked.Lease != 0 && asked.Lease != lease {
		return asked, nil, fmt.Errorf("Quota.Lease is %v, and the lease of a slot is %v, from CALL_TIMEOUT, VENDOR_TIMEOUT and SLOT_MARGIN: leave it at zero", asked.Lease, lease)
	}
	s := asked
	s.Lease, s.Slots, s.DefaultLicenses = lease, cmp.Or(s.Slots, number(settingSlots)), cmp.Or(s.DefaultLicenses, number(settingDefaultLicenses))
	s.Guard = cmp.Or(s.Guard, span(settingGuard, 0))
	if zone := agreed[settingZone]; s.Location == nil && zone != "" && zone != quota.DefaultLocation {
		var err error
		if s.Location, err = time.LoadLocation(zone); err != nil {
			return s, nil, fmt.Errorf("what others agreed on as %s: %w", settingZone, err)
		}
	}
	s, err := s.WithDefaults()
	if err != nil {
		return s, nil, err
	}
	return s, sharedSettings(s, key, call, vendor, margin), nil
}
