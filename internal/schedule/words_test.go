package schedule

import (
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	for expr, want := range map[string]string{
		"0 2 * * *":             "at 02:00, every day",
		"@daily":                "at 00:00, every day",
		"@hourly":               "at minute 0 of every hour, every day",
		"@weekly":               "at 00:00, on Sunday",
		"* * * * *":             "every minute, every day",
		"*/20 * * * *":          "every 20 minutes, every day",
		"5,35 * * * *":          "at minute 5 and 35 of every hour, every day",
		"30 6,18 * * mon-fri":   "at 06:30 and 18:30, on Monday to Friday",
		"0 0 1 * mon":           "at 00:00, on day 1 of the month or on Monday (one of the two is enough)",
		"0 0 1,15 * *":          "at 00:00, on day 1 and 15 of the month",
		"0 0 1-5,20 1,6 *":      "at 00:00, on day 1 to 5 and 20 of the month, in January and June",
		"0 9-17 * * *":          "at minute 0 of hour 9 to 17, every day",
		"*/30 9-17 * * *":       "every 30 minutes of hour 9 to 17, every day",
		"* 9 * * *":             "every minute of hour 9, every day",
		"0 0 * * 7":             "at 00:00, on Sunday",
		"0 0 * * sat,7":         "at 00:00, on Sunday and Saturday",
		"0 0 * * 5-7":           "at 00:00, on Sunday, Friday and Saturday",
		"0 0 * * 1-7/2":         "at 00:00, on Sunday, Monday, Wednesday and Friday",
		"0 0 * * mon-sun":       "at 00:00, on Sunday to Saturday",
		"0 0 * * 0-7":           "at 00:00, on Sunday to Saturday",
		"0 0 1 * 7":             "at 00:00, on day 1 of the month or on Sunday (one of the two is enough)",
		"0,10,20 1-9 1-7 * 1-2": "at minute 0, 10 and 20 of hour 1 to 9, on day 1 to 7 of the month or on Monday and Tuesday (one of the two is enough)",
	} {
		table, err := NewTimetable(expr, "America/Bogota")
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if got := table.Words(); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
		if table.Expr != expr {
			t.Errorf("%s became %s", expr, table.Expr)
		}
	}
	for _, bad := range []string{"0 0 * * 8", "0 0 * * 7-5", "0 0 * * 1-7/0", "0 0 * * 7-", "0 0 * * someday"} {
		if _, err := NewTimetable(bad, "UTC"); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestNextRuns(t *testing.T) {
	table, err := NewTimetable("0 0 * * 7", "UTC")
	if err != nil {
		t.Fatal(err)
	}
	runs := table.NextRuns(time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), 5)
	if len(runs) != 5 || runs[0] != time.Date(2026, 12, 6, 0, 0, 0, 0, time.UTC) || runs[4] != time.Date(2027, 1, 3, 0, 0, 0, 0, time.UTC) {
		t.Errorf("%v", runs)
	}
}
