package schedule

import (
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

const minute = "2006-01-02T15:04Z07:00"

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		what, expr, zone, after string
		want                    []string
	}{
		{"every night", "0 2 * * *", "America/Bogota", "2026-11-24T01:59-05:00",
			[]string{"2026-11-24T02:00-05:00", "2026-11-25T02:00-05:00"}},
		{"the tick itself is not after itself", "0 2 * * *", "America/Bogota", "2026-11-24T02:00-05:00",
			[]string{"2026-11-25T02:00-05:00"}},
		{"asked in another zone", "0 2 * * *", "America/Bogota", "2026-11-24T06:59Z",
			[]string{"2026-11-24T02:00-05:00"}},
		{"weekdays", "30 6 * * mon-fri", "UTC", "2026-11-27T07:00Z", []string{"2026-11-30T06:30Z"}},
		{"day of the month or of the week, as cron has it", "0 0 1 * mon", "UTC", "2026-11-28T00:00Z",
			[]string{"2026-11-30T00:00Z", "2026-12-01T00:00Z", "2026-12-07T00:00Z"}},
		{"leap day", "0 0 29 2 *", "UTC", "2026-01-01T00:00Z", []string{"2028-02-29T00:00Z"}},
		{"a word", "@daily", "Europe/Berlin", "2026-11-24T00:00+01:00", []string{"2026-11-25T00:00+01:00"}},

		// New York goes from 01:59 -05 to 03:00 -04 on 2026-03-08 ...
		{"in the skipped hour: when the clocks go forward", "30 2 * * *", "America/New_York", "2026-03-07T03:00-05:00",
			[]string{"2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"}},
		{"several in the skipped hour are one", "0,20,40 2 * * *", "America/New_York", "2026-03-08T01:00-05:00",
			[]string{"2026-03-08T03:00-04:00", "2026-03-09T02:00-04:00"}},
		{"with one just behind the skipped hour", "0 2,3 * * *", "America/New_York", "2026-03-08T01:00-05:00",
			[]string{"2026-03-08T03:00-04:00", "2026-03-09T02:00-04:00"}},
		{"each hour: real time over the skipped hour", "30 * * * *", "America/New_York", "2026-03-08T00:30-05:00",
			[]string{"2026-03-08T01:30-05:00", "2026-03-08T03:30-04:00"}},
		{"each hour, on the hour", "0 * * * *", "America/New_York", "2026-03-08T01:00-05:00",
			[]string{"2026-03-08T03:00-04:00", "2026-03-08T04:00-04:00"}},
		// ... and from 01:59 -04 to 01:00 -05 on 2026-11-01.
		{"in the doubled hour: the first time only", "30 1 * * *", "America/New_York", "2026-10-31T02:00-04:00",
			[]string{"2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"}},
		{"asked in the second of the doubled hours", "30 1 * * *", "America/New_York", "2026-11-01T01:10-05:00",
			[]string{"2026-11-02T01:30-05:00"}},
		{"named hours around the doubled one", "0 0-2 * * *", "America/New_York", "2026-10-31T23:00-04:00",
			[]string{"2026-11-01T00:00-04:00", "2026-11-01T01:00-04:00", "2026-11-01T02:00-05:00"}},
		{"each hour: real time over the doubled hour", "0 * * * *", "America/New_York", "2026-11-01T00:30-04:00",
			[]string{"2026-11-01T01:00-04:00", "2026-11-01T01:00-05:00", "2026-11-01T02:00-05:00"}},
		{"every 20 minutes over the doubled hour", "*/20 * * * *", "America/New_York", "2026-11-01T01:30-04:00",
			[]string{"2026-11-01T01:40-04:00", "2026-11-01T01:00-05:00", "2026-11-01T01:20-05:00"}},

		{"a midnight that is skipped", "0 0 * * *", "America/Santiago", "2026-09-05T12:00-04:00",
			[]string{"2026-09-06T01:00-03:00", "2026-09-07T00:00-03:00"}},
		{"a midnight that comes twice", "0 0 * * *", "America/Havana", "2026-10-31T12:00-04:00",
			[]string{"2026-11-01T00:00-04:00", "2026-11-02T00:00-05:00"}},
		{"a change of half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00+10:30",
			[]string{"2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"}},
		{"a day that was skipped", "0 12 * * *", "Pacific/Apia", "2011-12-29T13:00-10:00",
			[]string{"2011-12-31T00:00+14:00", "2011-12-31T12:00+14:00"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			table, err := NewTimetable(c.expr, c.zone)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(minute, c.after)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if at = table.Next(at); at.Format(minute) != want {
					t.Fatalf("got %s, want %s", at.Format(minute), want)
				}
			}
		})
	}
}

// Schedules with such steps are kept. A step as long as its range leaves the first value, and days of the week end on
// Saturday. go-cron, a fork of robfig/cron, treats both differently.
func TestStepsOfEveryKind(t *testing.T) {
	for expr, same := range map[string]string{
		"*/60 * * * *": "0 * * * *", "0 */24 * * *": "0 0 * * *", "5 0 1/31 * *": "5 0 1 * *", "0 0 */40 * *": "0 0 1 * *",
		"0 8-9/2,20 * * *": "0 8,20 * * *", "0 0 * * mon-fri/5": "0 0 * * mon", "0 0 1 */12 *": "0 0 1 1 *", "0 0 * * sun/7": "0 0 * * 0",
		"0 0 * * 1/2": "0 0 * * 1,3,5", "0 0 * * tue-sun/2": "0 0 * * 2,4,6",
	} {
		got, err := NewTimetable(expr, "UTC")
		if err != nil {
			t.Errorf("%q: %v", expr, err)
			continue
		}
		want, err := NewTimetable(same, "UTC")
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC)
		if got.Expr != expr || !slices.Equal(got.NextRuns(at, 5), want.NextRuns(at, 5)) {
			t.Errorf("%q: %v, want %v", expr, got.NextRuns(at, 5), want.NextRuns(at, 5))
		}
	}
	for _, expr := range []string{"*/0 * * * *", "0 20-30/40 * * *", "0 */x * * *", "0 x/24 * * *", "0 0/24/1 * * *", "*/-60 * * * *"} {
		if _, err := NewTimetable(expr, "UTC"); err == nil {
			t.Errorf("%q is taken", expr)
		}
	}
}

func TestWhatIsNoTimetable(t *testing.T) {
	for _, c := range []struct{ expr, zone, want string }{
		{"", "UTC", "five fields"},
		{"0 2 * *", "UTC", "five fields"},
		{"0 0 2 * * *", "UTC", "five fields"},
		{"61 2 * * *", "UTC", "five fields"},
		{"0 0 30 2 *", "UTC", "never comes"},
		{"@every 5m", "UTC", "@every"},
		{"TZ=UTC 0 2 * * *", "UTC", "--timezone"},
		{"0 2 * * *", "", "no time zone"},
		{"0 2 * * *", "Local", "no time zone"},
		{"0 2 * * *", "America/Bogotá", "no zone of the IANA"},
		{strings.Repeat("1,", 200) + "1 * * * *", "UTC", "longer than"},
	} {
		if _, err := NewTimetable(c.expr, c.zone); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q in %q: %v", c.expr, c.zone, err)
		}
	}
}

// Every tick is after the time asked for, on a minute, and no tick lies between.
func TestTicksAscend(t *testing.T) {
	zones := []string{"UTC", "America/New_York", "America/Bogota", "Australia/Lord_Howe", "Africa/Casablanca", "America/Santiago"}
	exprs := []string{"30 2 * * *", "*/7 * * * *", "0 */3 * * *", "15 0,1,2,3 * * *", "0 0 * * sun", "59 23 31 * *", "@hourly"}
	rapid.Check(t, func(t *rapid.T) {
		table, err := NewTimetable(rapid.SampledFrom(exprs).Draw(t, "expr"), rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(rapid.Int64Range(1_600_000_000, 1_900_000_000).Draw(t, "at"), 0)
		next := table.Next(at)
		if !next.After(at) || next.Unix()%60 != 0 {
			t.Fatalf("after %v comes %v", at, next)
		}
		between := at.Add(time.Duration(rapid.Int64Range(0, int64(next.Sub(at)-1)).Draw(t, "between")))
		if got := table.Next(between); !got.Equal(next) {
			t.Fatalf("after %v comes %v, after %v in between %v", at, next, between, got)
		}
	})
}
