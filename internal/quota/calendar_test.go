package quota

import (
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

func zone(t interface{ Fatal(...any) }, name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestDayStarts(t *testing.T) {
	for _, c := range []struct {
		name, zone, now string
		labels          [4]string
		starts          [5]string
	}{
		{"plain", "America/Bogota", "2026-03-10T12:00:00Z",
			[4]string{"20260309", "20260310", "20260311", "20260312"},
			[5]string{"2026-03-09T05:00:00Z", "2026-03-10T05:00:00Z", "2026-03-11T05:00:00Z", "2026-03-12T05:00:00Z", "2026-03-13T05:00:00Z"}},
		{"no midnight", "America/Sao_Paulo", "2018-11-04T12:00:00Z", // 00:00 is 01:00
			[4]string{"20181103", "20181104", "20181105", "20181106"},
			[5]string{"2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z", "2018-11-06T02:00:00Z", "2018-11-07T02:00:00Z"}},
		{"the hour before midnight comes twice", "America/Sao_Paulo", "2018-02-18T02:30:00Z", // 23:30, again
			[4]string{"20180216", "20180217", "20180218", "20180219"},
			[5]string{"2018-02-16T02:00:00Z", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z", "2018-02-19T03:00:00Z", "2018-02-20T03:00:00Z"}},
		{"no midnight", "Africa/Cairo", "2023-04-28T06:00:00Z",
			[4]string{"20230427", "20230428", "20230429", "20230430"},
			[5]string{"2023-04-26T22:00:00Z", "2023-04-27T22:00:00Z", "2023-04-28T21:00:00Z", "2023-04-29T21:00:00Z", "2023-04-30T21:00:00Z"}},
		{"no midnight", "America/Havana", "2024-03-10T06:00:00Z",
			[4]string{"20240309", "20240310", "20240311", "20240312"},
			[5]string{"2024-03-09T05:00:00Z", "2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z", "2024-03-12T04:00:00Z", "2024-03-13T04:00:00Z"}},
		{"midnight twice: the first", "America/Havana", "2024-11-03T04:10:00Z", // 01:00 is 00:00 again
			[4]string{"20241102", "20241103", "20241104", "20241105"},
			[5]string{"2024-11-02T04:00:00Z", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z", "2024-11-05T05:00:00Z", "2024-11-06T05:00:00Z"}},
		{"midnight twice, after the second", "America/Havana", "2024-11-03T05:10:00Z",
			[4]string{"20241102", "20241103", "20241104", "20241105"},
			[5]string{"2024-11-02T04:00:00Z", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z", "2024-11-05T05:00:00Z", "2024-11-06T05:00:00Z"}},
		{"a date comes again", "America/St_Johns", "2010-11-07T03:00:00Z", // 00:01 of the 7th is 23:01 of the 6th again
			[4]string{"20101106", "20101107", "20101108", "20101109"},
			[5]string{"2010-11-06T02:30:00Z", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z", "2010-11-09T03:30:00Z", "2010-11-10T03:30:00Z"}},
		{"a date is skipped", "Pacific/Apia", "2011-12-30T00:00:00Z", // the 30th is not
			[4]string{"20111228", "20111229", "20111231", "20120101"},
			[5]string{"2011-12-28T10:00:00Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z", "2012-01-01T10:00:00Z"}},
	} {
		t.Run(c.zone+" "+c.name, func(t *testing.T) {
			now, err := time.Parse(time.RFC3339, c.now)
			if err != nil {
				t.Fatal(err)
			}
			w := newWindow(zone(t, c.zone), now)
			if w.labels != c.labels {
				t.Errorf("labels %v, want %v", w.labels, c.labels)
			}
			for i, want := range c.starts {
				if got := time.UnixMilli(w.starts[i]).UTC().Format(time.RFC3339); got != want {
					t.Errorf("start %d is %s, want %s", i, got, want)
				}
			}
			if !w.holds(now) {
				t.Errorf("%v is not in its day", now)
			}
		})
	}
}

// Days follow one another without a gap, each begins at the first instant of its
// date, and the moment is in the second.
func TestDaysProperty(t *testing.T) {
	zones := []string{
		"America/Bogota", "America/Sao_Paulo", "Africa/Cairo", "America/Havana", "America/St_Johns", "Pacific/Apia",
		"Asia/Beirut", "America/Asuncion", "Atlantic/Azores", "Asia/Tehran", "Australia/Lord_Howe", "Pacific/Kiritimati",
	}
	rapid.Check(t, func(t *rapid.T) {
		loc := zone(t, rapid.SampledFrom(zones).Draw(t, "zone"))
		now := time.UnixMilli(rapid.Int64Range(0, 2_500_000_000_000).Draw(t, "now"))
		w := newWindow(loc, now)
		if !w.holds(now) {
			t.Fatalf("%v is not in [%d, %d)", now, w.starts[1], w.starts[2])
		}
		for i, label := range w.labels {
			start := time.UnixMilli(w.starts[i]).In(loc)
			if got := start.Format("20060102"); got != label {
				t.Fatalf("%s begins on %s", label, got)
			}
			if before := start.Add(-time.Second).Format("20060102"); before >= label {
				t.Fatalf("%s began before %v: %s", label, start, before)
			}
			length := w.starts[i+1] - w.starts[i]
			if length < 22*3600_000 || length > 26*3600_000 {
				t.Fatalf("%s lasts %d ms", label, length)
			}
		}
	})
}

func TestArgs(t *testing.T) {
	s, err := Settings{Location: time.UTC, Lease: 70 * time.Second, Slots: 1, DefaultLicenses: 5}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	got := s.Args(now, now.Add(time.Second).UnixMilli(), false)
	want := []any{
		1, int64(70000), 5, int64(3000), int64(1773144001000),
		"1773014400000", "20260309", "1773100800000", "20260310", "1773187200000", "20260311", "1773273600000", "20260312",
		"1773360000000",
	}
	if len(got) != len(want) {
		t.Fatalf("%d arguments: %v", len(got), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("argument %d is %v, want %v", i, got[i], want[i])
		}
	}
	if s.Args(now, 0, false)[4] != int64(0) {
		t.Error("no freeze is not 0")
	}
	// The days are kept until midnight, and only for this zone.
	if next := s.Args(now.Add(12*time.Hour), 0, false); next[8] != "20260311" {
		t.Errorf("after midnight it is %v", next[8])
	}
	if next := s.NextDay(now); !next.Equal(time.Date(2026, 3, 11, 0, 0, 3, 0, time.UTC)) {
		t.Errorf("the next day's first grant at %v", next)
	}
	s.Location = time.FixedZone("east", 14*3600)
	if east := s.Args(now, 0, false); east[8] != "20260311" {
		t.Errorf("in another zone it is %v", east[8])
	}
	if known := s.Args(now, 5, true); known[4] != int64(-5) {
		t.Errorf("where every bucket has its epoch, the freeze is %v", known[4])
	}
}

func BenchmarkArgs(b *testing.B) {
	s, err := Settings{}.WithDefaults()
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		s.Args(now, 0, false)
	}
}
