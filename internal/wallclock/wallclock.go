// Package wallclock finds the moments at which the clocks of a time zone show a time.
package wallclock

import "time"

// First returns the first moment at which the clocks of a zone show what wall shows in UTC. If they never show it, because
// they go forward over it or the zone skips its date, it is the moment at which they go past it. time.Date does not say
// which moment it returns if a time is skipped or comes twice.
func First(wall time.Time, zone *time.Location) time.Time {
	t := wall.Add(-26 * time.Hour).In(zone) // shows an earlier time, in every zone
	for {
		_, seconds := t.Zone()
		offset := time.Duration(seconds) * time.Second
		if !t.Add(offset).Before(wall) {
			return t // this period of the zone begins after the time: it was skipped
		}
		_, end := t.ZoneBounds()
		if at := wall.Add(-offset); end.IsZero() || at.Before(end) {
			return at.In(zone)
		}
		t = end.In(zone)
	}
}
