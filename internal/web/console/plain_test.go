package console

import (
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/wolkvox"
)

// Every cause has plain words in both languages, which depend only on a call's code.
func TestCausesInPlainWords(t *testing.T) {
	const text = "given up after 12 attempts: wolkvox: refused (server_error): 503"
	for _, lang := range []string{"en", "es"} {
		w := loadWords(lang, time.UTC)
		other, _ := w.say("cause.other")
		for _, cause := range control.Causes() {
			said := w.cause(control.CallRecord{Reason: cause, Error: text})
			if said == "" || (said == other) != (cause == control.CauseOther) {
				t.Errorf("%s: %s is told as %q", lang, cause, said)
			}
			if strings.Contains(said, "12") || strings.Contains(said, "503") {
				t.Errorf("%s: the text of an error is told: %q", lang, said)
			}
			for _, remedy := range []control.Remedy{control.RemedyToken, control.RemedyKey} {
				if control.RemedyOf(cause) == remedy && (w.advice(cause) == "" || w.sayOr("decide.futile."+string(remedy), "", 1) == "") {
					t.Errorf("%s: no advice for %s", lang, cause)
				}
			}
		}
		for _, r := range []control.CallRecord{{Error: text}, {Error: "wolkvox: refused (bad_token): 403"}, {Reason: "new_one"}} {
			r.State, r.Attempts = ledger.StateFailed, 3
			if said := w.cause(r); said != other {
				t.Errorf("%s: what has no known code is told as %q", lang, said)
			}
		}
		for _, c := range []struct {
			reason   string
			state    ledger.State
			attempts int
			en, es   string
		}{
			{string(wolkvox.ServerFailure), ledger.StateFailed, 12, "Given up after 12 attempts.", "Se desistió tras 12 intentos."},
			{ledger.ReasonUnknown, ledger.StateFailed, 1, "Given up after 1 attempt.", "Se desistió tras 1 intento."},
			{ledger.ReasonNotSent, ledger.StateFailed, 0, "put off for too long.", "por demasiado tiempo."},
			{string(wolkvox.TooMany), ledger.StateFailed, 0, "put off for too long.", "por demasiado tiempo."},
		} {
			want := map[string]string{"en": c.en, "es": c.es}[lang]
			r := control.CallRecord{Reason: c.reason, State: c.state, Attempts: c.attempts}
			if said := w.cause(r); !strings.HasSuffix(said, want) {
				t.Errorf("%s: %s is told as %q, not with %q", lang, c.reason, said, want)
			}
			if r.State = ledger.StateWaiting; strings.HasSuffix(w.cause(r), want) {
				t.Errorf("%s: %s is given up before it is", lang, c.reason)
			}
		}
		if said := w.cause(control.CallRecord{Reason: string(wolkvox.BadToken), State: ledger.StateFailed, Attempts: 1}); strings.Contains(said, "1") {
			t.Errorf("%s: what is given up at once counts attempts: %q", lang, said)
		}
		for _, reason := range []string{"slots", "quota", "cooling", "midnight", "restart", "server", ledger.ServerBusy, "back-off", "push-back", "held"} {
			if said := w.reason(control.Chain{Reason: reason, Why: "raw"}); said == "raw" {
				t.Errorf("%s: no words for the reason %q", lang, reason)
			}
		}
		for _, kind := range []wolkvox.Kind{wolkvox.TokenLimit, wolkvox.SimultaneousLimit, wolkvox.TooMany, wolkvox.UnknownForbidden} {
			said := w.cooling(string(kind))
			if said == w.cooling("of a later version") || !strings.Contains(w.reason(control.Chain{Reason: "cooling", Cooling: string(kind)}), said) {
				t.Errorf("%s: no words for a cool-down of %q: %q", lang, kind, said)
			}
		}
	}
}
