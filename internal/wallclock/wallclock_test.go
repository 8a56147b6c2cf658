package wallclock_test

import (
	"testing"
	"time"
	_ "time/tzdata"

	"habilita/internal/wallclock"
)

func TestFirst(t *testing.T) {
	for _, tt := range []struct{ name, zone, wall, want string }{
		{"a zone without changes", "America/Bogota", "2026-11-24T02:00:00", "2026-11-24T02:00:00-05:00"},
		{"skipped: the clock goes forward", "Europe/Madrid", "2026-03-29T02:30:00", "2026-03-29T03:00:00+02:00"},
		{"the moment of the change", "Europe/Madrid", "2026-03-29T03:00:00", "2026-03-29T03:00:00+02:00"},
		{"twice: the clock goes back", "Europe/Madrid", "2026-10-25T02:30:00", "2026-10-25T02:30:00+02:00"},
		{"no midnight", "America/Sao_Paulo", "2018-11-04T00:00:00", "2018-11-04T01:00:00-02:00"},
		{"midnight twice", "America/Havana", "2026-11-01T00:00:00", "2026-11-01T00:00:00-04:00"},
		{"back over midnight", "America/Sao_Paulo", "2018-02-18T00:00:00", "2018-02-18T00:00:00-03:00"},
		{"a date that was skipped", "Pacific/Apia", "2011-12-30T12:00:00", "2011-12-31T00:00:00+14:00"},
		{"far from UTC", "Pacific/Kiritimati", "2026-11-24T23:59:00", "2026-11-24T23:59:00+14:00"},
	} {
		zone, err := time.LoadLocation(tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		wall, err := time.Parse("2006-01-02T15:04:05", tt.wall)
		if err != nil {
			t.Fatal(err)
		}
		if got := wallclock.First(wall, zone).Format(time.RFC3339); got != tt.want {
			t.Errorf("%s: %s in %s is %s, want %s", tt.name, tt.wall, tt.zone, got, tt.want)
		}
	}
}
