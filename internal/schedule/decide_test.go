package schedule

import (
	"errors"
	"testing"
	"time"
)

func TestDecide(t *testing.T) {
	at := func(text string) time.Time {
		v, err := time.Parse("2006-01-02 15:04:05", text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	tick := at("2026-11-24 02:00:00")
	const batch = "n@2026-11-24T02:00Z"
	def := Definition{Name: "n", Cron: "0 2 * * *", Timezone: "UTC", Missed: Once}
	with := func(change func(*State)) State {
		s := State{Definition: def, Next: tick}
		if change != nil {
			change(&s)
		}
		return s
	}
	next := at("2026-11-25 02:00:00")
	for _, c := range []struct {
		what      string
		s         State
		now       time.Time
		unsettled string
		want      Decision
	}{
		{"not due", with(nil), tick.Add(-time.Millisecond), "", Decision{}},
		{"due", with(nil), tick, "", Decision{Action: Make, Kind: KindTick, Tick: tick, Batch: batch, Next: next}},
		{"due, and the last run goes on", with(nil), tick, "n@x",
			Decision{Action: Pass, Kind: KindTick, Tick: tick, Batch: batch, Next: next, Result: ResultSkipped, Reason: "the last run, n@x, has not settled"}},
		{"the same, asked to overlap", with(func(s *State) { s.Overlap = true }), tick, "n@x",
			Decision{Action: Make, Kind: KindTick, Tick: tick, Batch: batch, Next: next}},
		{"paused", with(func(s *State) { s.Paused = true }), next.AddDate(1, 0, 0), "", Decision{}},
		{"no further tick", with(func(s *State) { s.Next = time.Time{} }), tick, "", Decision{}},
		{"being enqueued", with(func(s *State) { s.Claim = Claim{Number: 1, Until: tick.Add(2)} }), tick.Add(1), "", Decision{}},
		{"being enqueued, its worker is gone", with(func(s *State) { s.Claim = Claim{Number: 1, Until: tick} }), tick, "n@x", Decision{Action: Take}},
		{"asked for", with(func(s *State) { s.Asked = Asked{At: at("2026-11-23 05:00:00"), Batch: "b"} }), at("2026-11-23 05:00:01"), "",
			Decision{Action: Make, Kind: KindAsked, Tick: at("2026-11-23 05:00:00"), Batch: "b", Next: tick}},
		{"asked for, paused", with(func(s *State) { s.Paused, s.Asked = true, Asked{At: tick, Batch: "b"} }), tick, "",
			Decision{Action: Make, Kind: KindAsked, Tick: tick, Batch: "b", Next: tick}},
		{"asked for, and the last run goes on", with(func(s *State) { s.Asked = Asked{At: tick, Batch: "b"} }), tick, "n@x",
			Decision{Action: Pass, Kind: KindAsked, Tick: tick, Batch: "b", Next: tick, Result: ResultSkipped, Reason: "the last run, n@x, has not settled"}},
		{"the same, asked to overlap", with(func(s *State) { s.Asked = Asked{At: tick, Batch: "b", Overlap: true} }), tick, "n@x",
			Decision{Action: Make, Kind: KindAsked, Tick: tick, Batch: "b", Next: tick}},
		{"missed by hours: once", with(nil), tick.Add(5 * time.Hour), "",
			Decision{Action: Make, Kind: KindTick, Tick: tick, Batch: batch, Next: next}},
		{"missed for nights: once, for the last", with(nil), tick.AddDate(0, 0, 3).Add(time.Hour), "",
			Decision{Action: Make, Kind: KindTick, Tick: tick.AddDate(0, 0, 3), Batch: "n@2026-11-27T02:00Z", Missed: 3, Next: next.AddDate(0, 0, 3)}},
		{"late, within the grace: made", with(func(s *State) { s.Missed = Skip }), tick.Add(Grace), "",
			Decision{Action: Make, Kind: KindTick, Tick: tick, Batch: batch, Next: next}},
		{"missed: skipped", with(func(s *State) { s.Missed = Skip }), tick.Add(Grace + 1), "",
			Decision{Action: Pass, Kind: KindTick, Tick: tick, Batch: batch, Next: next, Missed: 1, Result: ResultMissed, Reason: "no worker was there when it was due, or the run before was still being enqueued"}},
		{"missed for nights, back in time for the last", with(func(s *State) { s.Missed = Skip }), tick.AddDate(0, 0, 3).Add(time.Minute), "",
			Decision{Action: Pass, Kind: KindTick, Tick: tick.AddDate(0, 0, 2), Batch: "n@2026-11-26T02:00Z", Missed: 3, Next: next.AddDate(0, 0, 2), Result: ResultMissed,
				Reason: "no worker was there when it was due, or the run before was still being enqueued"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			table, err := NewTimetable(c.s.Cron, c.s.Timezone)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decide(table, c.s, c.now, func() (string, error) { return c.unsettled, nil })
			if err != nil {
				t.Fatal(err)
			}
			got.Tick, got.Next = in(c.want.Tick, got.Tick), in(c.want.Next, got.Next)
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// in returns got in want's form, if both are the same moment.
func in(want, got time.Time) time.Time {
	if got.Equal(want) {
		return want
	}
	return got
}

func TestDecideWithoutRedis(t *testing.T) {
	table, err := NewTimetable("* * * * *", "UTC")
	if err != nil {
		t.Fatal(err)
	}
	away := errors.New("away")
	if d, err := Decide(table, State{Next: time.Unix(60, 0)}, time.Unix(60, 0), func() (string, error) { return "", away }); !errors.Is(err, away) {
		t.Errorf("%+v, %v", d, err)
	}
}

// A tick of every minute that nobody made for a year is one run, and is found quickly.
func TestDecideAfterAYear(t *testing.T) {
	table, err := NewTimetable("* * * * *", "UTC")
	if err != nil {
		t.Fatal(err)
	}
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := first.AddDate(1, 0, 0).Add(30 * time.Second)
	last, before, next := table.due(first, now)
	if !last.Equal(first.AddDate(1, 0, 0)) || !next.Equal(last.Add(time.Minute)) || before < maxMissed {
		t.Errorf("%v, %d, %v", last, before, next)
	}
}

func TestBatchNamesDoNotCollide(t *testing.T) {
	zone := time.FixedZone("", -5*3600)
	at := time.Date(2026, 11, 24, 2, 0, 0, 0, zone)
	if got := BatchOfTick("n", at); got != "n@2026-11-24T02:00-05:00" {
		t.Error(got)
	}
	if got := BatchOfAsked("n", at); got != "n@run-2026-11-24T02:00:00.000-05:00" {
		t.Error(got)
	}
}
