package say

import "testing"

func TestNumbersWithNouns(t *testing.T) {
	for got, want := range map[string]string{
		Count(1, "call"): "1 call", Count(0, "call"): "0 calls", Word(1, "it", "them") + Word(2, "it", "them"): "itthem", Count(1234567, "call"): "1,234,567 calls",
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
