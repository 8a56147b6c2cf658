package say

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

func TestNumbersWithNouns(t *testing.T) {
	for got, want := range map[string]string{
		Count(1, "call"): "1 call", Count(0, "call"): "0 calls", Count(1234567, "call"): "1,234,567 calls",
		Thousands(-1000): "-1,000", Thousands(-123): "-123", Thousands(0): "0", Thousands(999): "999",
		List(Some(3, "failed"), Some(0, "skipped"), Some(1000, "open")): "3 failed, 1,000 open",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestArgumentsAreQuoted(t *testing.T) {
	for in, want := range map[string]string{
		"abc:voz": "abc:voz", "a b": "'a b'", "abc:x;y": "'abc:x;y'", "a:it's": `'a:it'\''s'`, "": "''", "-x": "'-x'",
	} {
		if got := Quote(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{"-": "-", "-x.csv": "./-x.csv", "a b.csv": "'a b.csv'"} {
		if got := File(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestLinesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := Lines(&out, 3*time.Second, 3*time.Second)
		for _, words := range []string{"too early", "too early", "one", "too soon", "two"} {
			m.Update(0, 0, words)
			time.Sleep(2 * time.Second)
		}
		time.Sleep(time.Minute)
		m.Update(0, 0, "two")
		m.Stop()
		if got := out.String(); got != "one\ntwo\ntwo\n" {
			t.Errorf("%q", got)
		}
	})
}

func TestBarEnds(t *testing.T) {
	var out bytes.Buffer
	Bar(&out, progress.UnitsBytes).Stop() // never drawn
	m := Bar(&out, progress.UnitsDefault)
	m.Log("a line that stays")
	for i := range int64(100) {
		m.Update(i, 100, "of 4 calls")
	}
	m.Update(100, 100, "2 of 4 calls, 1 held")
	m.Stop()
	if got := out.String(); !strings.Contains(got, "a line that stays\n") || !strings.Contains(got, "2 of 4 calls, 1 held") {
		t.Errorf("%q", got)
	}
}
