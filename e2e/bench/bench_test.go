package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

func TestPlainPayloadHasTheSizeThatIsToBeBeaten(t *testing.T) {
	task := plainTask(plainCall{Server: "0001", Token: token("t", 1), Ref: "order-1"})
	if n := len(task.Payload()); n != payloadSize {
		t.Errorf("%d bytes, want %d", n, payloadSize)
	}
	var c plainCall
	if err := json.Unmarshal(task.Payload(), &c); err != nil || c.Token != token("t", 1) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestTable(t *testing.T) {
	lines := []line{
		{figure{what: "more", unit: "/s", floor: 2, theirs: plainIdle}, 250_000, 100_000},
		{figure{what: "less", unit: "ms", less: true, floor: 1.5, theirs: plainIdle}, 16, 10},
		{figure{what: "alone", unit: "ms", less: true, floor: 10, absolute: true}, 3.456, 0},
	}
	var b strings.Builder
	printTable(&b, lines, settings{turns: 5, scale: 1})
	for _, want := range []string{
		"| more | 250,000 /s | 100,000 /s |  | 2.50 x | at least 2.00 x | yes |",
		"| less | 16.0 ms | 10.0 ms |  | 1.60 x | at most 1.50 x | NO |",
		"| alone | 3.46 ms |  |  |  | at most 10.0 ms | yes |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestMedian(t *testing.T) {
	if m := median([]int{9, 1, 5}); m != 5 {
		t.Error(m)
	}
	if m := median[int](nil); m != 0 {
		t.Error(m)
	}
}

func TestParseRefusesWhatItCannotDo(t *testing.T) {
	for _, args := range [][]string{{"-n", "0"}, {"-scale", "0"}, {"-only", "("}, {"more"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}

// At every minute there is a time zone whose day opens soon.
func TestSoonMidnight(t *testing.T) {
	for now := time.Date(2026, 11, 29, 0, 0, 7, 5, time.UTC); now.Day() == 29; now = now.Add(time.Minute) {
		name, guard, opens := soonMidnight(now)
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		in := opens.In(zone)
		since := time.Duration(in.Hour())*time.Hour + time.Duration(in.Minute())*time.Minute + time.Duration(in.Second())*time.Second
		if since != guard || guard < time.Second || guard >= time.Hour || opens.Before(now) || opens.Sub(now) > 3*time.Minute {
			t.Errorf("%s: %s opens %s, guard %s", now, name, in, guard)
		}
	}
}
