package operator_test

import (
	"slices"
	"testing"

	"habilita/internal/chain"
	"habilita/internal/operator"
	"habilita/internal/wolkvox"
)

// What a person does is decided by the code of what went wrong, and by nothing else of a call.
func TestCausesAreCodes(t *testing.T) {
	for _, c := range []struct {
		reason string
		remedy operator.Remedy
		futile bool
	}{
		{string(wolkvox.BadToken), operator.RemedyToken, true},
		{string(wolkvox.MissingToken), operator.RemedyToken, true},
		{chain.ReasonUnopenable, operator.RemedyKey, true},
		{string(wolkvox.BadRequest), operator.RemedyAsk, false},
		{string(wolkvox.NotFound), operator.RemedyAsk, false},
		{string(wolkvox.MethodNotAllowed), operator.RemedyAsk, false},
		{chain.ReasonUnknown, operator.RemedyLook, false},
		{string(wolkvox.TokenLimit), operator.RemedyRetry, false},
		{string(wolkvox.SimultaneousLimit), operator.RemedyRetry, false},
		{string(wolkvox.UnknownForbidden), operator.RemedyRetry, false},
		{string(wolkvox.TooMany), operator.RemedyRetry, false},
		{string(wolkvox.ServerFailure), operator.RemedyRetry, false},
		{chain.ReasonUnreadable, operator.RemedyRetry, false},
		{chain.ReasonNotSent, operator.RemedyRetry, false},
		{string(wolkvox.Other), operator.RemedyRetry, false},
	} {
		for _, text := range []string{"", "wolkvox: refused (bad_token): 403 PLEASE VALIDATE TOKEN", "token can't be opened"} {
			cause := operator.Cause(operator.CallRecord{Reason: c.reason, Error: text})
			if r := operator.RemedyOf(cause); cause != c.reason || r != c.remedy || r.Futile() != c.futile {
				t.Errorf("%s with %q: cause %s, remedy %s, futile %t", c.reason, text, cause, r, r.Futile())
			}
		}
		if !slices.Contains(operator.Causes(), c.reason) {
			t.Errorf("%s is none of the causes", c.reason)
		}
	}
	for _, r := range []operator.CallRecord{
		{Error: "wolkvox: refused (bad_token): 403 PLEASE VALIDATE TOKEN"}, // an older version's: no code
		{Error: "token can't be opened: sealing key \"k\""},
		{Reason: "of_a_newer_version"},
	} {
		if cause := operator.Cause(r); cause != operator.CauseOther || operator.RemedyOf(cause) != operator.RemedyRetry {
			t.Errorf("%+v: %s", r, cause)
		}
	}
	if cause := operator.Cause(operator.CallRecord{Code: "202"}); cause != "" {
		t.Errorf("a success failed for %s", cause)
	}
}
