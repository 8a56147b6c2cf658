package console

import (
	"errors"
	"strings"
	"testing"
	"time"

	"habilita/internal/operator"
	"habilita/internal/wolkvox"
)

// Every failure that the vendor's client tells is said in plain words, in both languages.
func TestCausesInPlainWords(t *testing.T) {
	failures := []error{
		&wolkvox.NotSentError{Cause: errors.New("dial")}, &wolkvox.UnknownOutcomeError{Cause: errors.New("reset")},
		&wolkvox.UnreadableError{Status: 200, Reason: "no JSON"},
	}
	for _, k := range []wolkvox.Kind{wolkvox.BadToken, wolkvox.TokenLimit, wolkvox.SimultaneousLimit, wolkvox.UnknownForbidden,
		wolkvox.BadRequest, wolkvox.MissingToken, wolkvox.NotFound, wolkvox.MethodNotAllowed, wolkvox.TooMany, wolkvox.ServerFailure, wolkvox.Other} {
		failures = append(failures, &wolkvox.RefusedError{Kind: k, Status: 400, Msg: "x"})
	}
	var texts []string
	for _, e := range failures {
		texts = append(texts, e.Error(), "given up after 12 attempts: "+e.Error(), "given up: pushed back since 2026-11-24T10:00:00Z: "+e.Error())
	}
	texts = append(texts, `token can't be opened: sealing key "k1" is not among HABILITA_KEYS`, "token can't be opened: damaged",
		"unknown outcome: the worker was lost while the request was at the vendor")
	for _, lang := range []string{"en", "es"} {
		w, err := loadWords(lang, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if said := w.cause(operator.CallRecord{Error: text}); said == "" || said == text {
				t.Errorf("%s: no words for %q", lang, text)
			}
		}
		other, _ := w.say("cause.other")
		if said := w.cause(operator.CallRecord{Error: "given up after 3 attempts: something new"}); !strings.HasSuffix(said, other) || strings.Contains(said, "new") {
			t.Errorf("%s: what is not known is told as %q", lang, said)
		}
		for _, known := range texts[:len(texts)-1] {
			if said := w.cause(operator.CallRecord{Error: known}); strings.HasSuffix(said, other) && !strings.Contains(known, "(other)") {
				t.Errorf("%s: no words for %q", lang, known)
			}
		}
		for _, cause := range operator.Causes() {
			if _, err := w.say("cause." + cause); err != nil {
				t.Error(err)
			}
		}
		for _, reason := range []string{"slots", "quota", "cooling", "midnight", "restart", "server", "back-off", "push-back", "held"} {
			if said := w.reason(operator.Chain{Reason: reason, Why: "raw"}); said == "raw" {
				t.Errorf("%s: no words for the reason %q", lang, reason)
			}
		}
	}
}
