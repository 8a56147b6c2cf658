package control_test

import (
	"slices"
	"testing"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/wolkvox"
)

// The remedy depends only on the code of what went wrong with a call.
func TestCausesAreCodes(t *testing.T) {
	for _, c := range []struct {
		reason string
		remedy control.Remedy
		futile bool
	}{
		{string(wolkvox.BadToken), control.RemedyToken, true},
		{string(wolkvox.MissingToken), control.RemedyToken, true},
		{ledger.ReasonUnopenable, control.RemedyKey, true},
		{string(wolkvox.BadRequest), control.RemedyAsk, false},
		{string(wolkvox.NotFound), control.RemedyAsk, false},
		{string(wolkvox.MethodNotAllowed), control.RemedyAsk, false},
		{ledger.ReasonUnknown, control.RemedyLook, false},
		{string(wolkvox.TokenLimit), control.RemedyRetry, false},
		{string(wolkvox.SimultaneousLimit), control.RemedyRetry, false},
		{string(wolkvox.UnknownForbidden), control.RemedyRetry, false},
		{string(wolkvox.TooMany), control.RemedyRetry, false},
		{string(wolkvox.ServerFailure), control.RemedyRetry, false},
		{ledger.ReasonUnreadable, control.RemedyRetry, false},
		{ledger.ReasonNotSent, control.RemedyRetry, false},
		{string(wolkvox.Other), control.RemedyRetry, false},
	} {
		for _, text := range []string{"", "wolkvox: refused (bad_token): 403 PLEASE VALIDATE TOKEN", "token can't be opened"} {
			cause := control.Cause(control.CallRecord{Reason: c.reason, Error: text})
			if r := control.RemedyOf(cause); cause != c.reason || r != c.remedy || r.Futile() != c.futile {
				t.Errorf("%s with %q: cause %s, remedy %s, futile %t", c.reason, text, cause, r, r.Futile())
			}
		}
		if !slices.Contains(control.Causes(), c.reason) {
			t.Errorf("%s is none of the causes", c.reason)
		}
	}
	for _, r := range []control.CallRecord{
		{Error: "wolkvox: refused (bad_token): 403 PLEASE VALIDATE TOKEN"}, // an older version's: no code
		{Error: "token can't be opened: sealing key \"k\""},
		{Reason: "of_a_newer_version"},
	} {
		if cause := control.Cause(r); cause != control.CauseOther || control.RemedyOf(cause) != control.RemedyRetry {
			t.Errorf("%+v: %s", r, cause)
		}
	}
	if cause := control.Cause(control.CallRecord{Code: "202"}); cause != "" {
		t.Errorf("a success failed for %s", cause)
	}
}
