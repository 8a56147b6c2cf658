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
	s, err := asked.WithDefaults()
	if err != nil {
		return s, nil, err
	}
	take := func(free bool, name string, read func(string) error) {
		if v, ok := agreed[name]; ok && free {
			if rerr := read(v); rerr != nil {
				err = fmt.Errorf("what others agreed on as %s: %w", name, rerr)
			}
		}
	}
	number := func(to *int) func(string) error {
		return func(v string) (err error) { *to, err = strconv.Atoi(v); return err }
	}
	span := func(to *time.Duration) func(string) error {
		return func(v string) (err error) { *to, err = time.ParseDuration(v); return err }
	}
	zone := func(v string) (err error) {
		if v != s.Location.String() {
			s.Location, err = time.LoadLocation(v)
		}
		return err
	}
	call, vendor, margin := time.Minute, time.Minute, 5*time.Second
	take(asked.Slots == 0, settingSlots, number(&s.Slots))
	take(asked.DefaultLicenses == 0, settingDefaultLicenses, number(&s.DefaultLicenses))
	take(asked.Guard == 0, settingGuard, span(&s.Guard))
	take(asked.Location == nil, settingZone, zone)
	take(true, settingCallTimeout, span(&call))
	take(true, settingVendorTimeout, span(&vendor))
	take(true, settingSlotMargin, span(&margin))
	if err != nil {
		return s, nil, err
	}
	lease := max(call, vendor) + margin
	if asked.Lease != 0 && asked.Lease != lease {
		return s, nil, fmt.Errorf("Quota.Lease is %v, and the lease of a slot is %v, from CALL_TIMEOUT, VENDOR_TIMEOUT and SLOT_MARGIN: leave it at zero", asked.Lease, lease)
	}
	s.Lease = lease
	return s, sharedSettings(s, key, call, vendor, margin), nil
}
