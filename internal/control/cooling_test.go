package control

import (
	"testing"

	"habilita/internal/ledger"
	"habilita/internal/wolkvox"
)

// A cool-down is stored as its code, and shown as its code and in words. An older version stored
// only the words.
func TestCoolDownsByCode(t *testing.T) {
	for _, c := range []struct{ stored, reason, words string }{
		{"", "", ""},
		{string(wolkvox.TokenLimit), "token_limit", "the vendor says that the day's quota is used up"},
		{string(wolkvox.TooMany), "too_many", "the vendor asks for fewer requests (429)"},
		{"the vendor refuses for now (403)", "", "the vendor refuses for now (403)"},
	} {
		if reason, words := cooling(c.stored); reason != c.reason || words != c.words {
			t.Errorf("%q: %q, %q", c.stored, reason, words)
		}
		got := forPeople(ledger.Chain{ID: "t", State: "waiting", Reason: "cooling: " + c.stored})
		if got.Cooling != c.reason || got.Why != because("its token cools down", c.words) {
			t.Errorf("%q: %+v", c.stored, got)
		}
	}
}
