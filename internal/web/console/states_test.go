package console

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/schedule"
)

// The state of a batch is one word, and only a batch that goes on by itself has a time left.
func TestStatesOfABatch(t *testing.T) {
	held := control.Canary{Tokens: 2, State: control.CanaryHeld}
	waiting := control.Canary{Tokens: 2, State: control.CanaryWaiting}
	due := control.Time{Time: time.Date(2090, 1, 1, 7, 0, 0, 0, time.UTC)}
	en := loadWords("en", time.UTC)
	for _, c := range []struct {
		s       control.Status
		state   string
		percent int
		left    bool
	}{
		{control.Status{Total: 10, Succeeded: 5, Open: 5}, "going", 50, true},
		{control.Status{Total: 10, Succeeded: 10, Settled: true}, "done", 100, false},
		{control.Status{Total: 10, Succeeded: 4, Failed: 1, Open: 5, HeldChains: 1, Blocked: 2}, "held", 40, true},
		{control.Status{Total: 10, Succeeded: 4, Failed: 6, Settled: true}, "failures", 40, false},
		{control.Status{Total: 10, Succeeded: 4, Skipped: 6, Settled: true}, "partly", 40, false},
		{control.Status{Total: 10, Succeeded: 6, Open: 4, Blocked: 4, Settled: true}, "behind", 60, false},
		{control.Status{Total: 10, Failed: 1, Open: 4, Blocked: 4, Skipped: 5, Settled: true}, "behind", 0, false},
		{control.Status{Total: 10, Cancelled: 10, Settled: true}, "cancelled", 0, false},
		{control.Status{Total: 10, Succeeded: 3, Cancelled: 7, Settled: true, Stopped: true}, "cancelled", 30, false},
		{control.Status{Total: 10, Cancelled: 8, Open: 2, Stopped: true}, "cancelling", 0, false},
		{control.Status{Total: 10, Succeeded: 10, Settled: true, Stopped: true}, "done", 100, false},
		{control.Status{Total: 10, Open: 10, DueAt: due, PutOff: true}, "putoff", 0, false},
		{control.Status{Total: 10, Succeeded: 5, Open: 5, DueAt: due}, "going", 50, false},
		{control.Status{Total: 4, Succeeded: 1, Failed: 1, Open: 2, HeldChains: 1, Settled: true, Canary: held}, "canaryheld", 25, false},
		{control.Status{Total: 4, Succeeded: 3, Failed: 1, Settled: true, Canary: held}, "canaryheld", 75, false},
		{control.Status{Total: 4, Succeeded: 1, Open: 3, Canary: waiting}, "canary", 25, false},
		{control.Status{Settled: true}, "nothing", 0, false},
		{control.Status{Total: 10, Succeeded: 10, Filling: true}, "filling", 100, false},
		{control.Status{Total: 10, Succeeded: 10, Settled: true, CutOff: true}, "partial", 100, false},
		{control.Status{Settled: true, CutOff: true}, "partial", 0, false},
		{control.Status{Total: 10, Succeeded: 10, Unread: 3}, "unread", 100, false},
		{control.Status{Total: 10, Open: 10, CutOff: true}, "partial", 0, false},
		{control.Status{Total: 10, Failed: 1, Open: 9, HeldChains: 1, Blocked: 9, Settled: true, CutOff: true}, "held", 0, false},
		{control.Status{Total: 10, Cancelled: 10, Settled: true, Stopped: true, CutOff: true}, "cancelled", 0, false},
	} {
		v := batchView{Status: c.s, PerSecond: 2, Rated: true}
		if v.State() != c.state || v.Percent() != c.percent || (en.left(v) != "") != c.left {
			t.Errorf("%+v is %s at %d %%, left %q; want %s at %d %%, left %t", c.s, v.State(), v.Percent(), en.left(v), c.state, c.percent, c.left)
		}
		spoken := c.percent / 10 * 10 // in steps, and at the end as it is
		if c.s.Settled {
			spoken = c.percent
		}
		if v.Spoken() != spoken {
			t.Errorf("%+v: %d percent are read out, want %d", c.s, v.Spoken(), spoken)
		}
		if v.Whole() != (c.s.Total > 0 && c.s.Canary.Tokens == 0 && !c.s.Filling && !c.s.CutOff && c.s.Unread == 0) {
			t.Errorf("%+v: a percentage is shown: %t", c.s, v.Whole())
		}
		for _, lang := range []string{"en", "es"} {
			w := loadWords(lang, time.UTC)
			if c.state != "held" && w.sayOr("batch."+c.state, "") == "" {
				t.Errorf("%s has no word for %s", lang, c.state)
			}
		}
	}
	now := due.Add(-10 * time.Hour)
	if got := en.startsAt(due.Time, now); got != "starts 2090-01-01 07:00" {
		t.Error(got)
	}
	if got := en.startsAt(due.Time, due.Add(-time.Hour)); got != "starts at 07:00" {
		t.Error(got)
	}
}

// An option of a command is set as code, and nothing else of a text is.
func TestOptionsInTexts(t *testing.T) {
	if got, want := options("a < b with --prune, or --dry-run."), `a &lt; b with <code class="option">--prune</code>, or <code class="option">--dry-run</code>.`; string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, lang := range []string{"en", "es"} {
		w := loadWords(lang, time.UTC)
		if said := options(w.advice("bad_token")); !strings.Contains(string(said), ">--prune</code>") {
			t.Errorf("%s: %s", lang, said)
		}
	}
}

// A run of a schedule shows every kind of row that it left out.
func TestRowsThatARunOfAScheduleLeftOut(t *testing.T) {
	sites := loadSites(time.UTC)
	run := schedule.Run{Batch: "one", Result: schedule.ResultMade, Calls: 82, Passed: 8, Rejected: 1, Conflicts: 2, Withheld: 12}
	for lang, want := range map[string]string{
		"en": "82 calls · 8 calls passed over: their chains are held · 1 row rejected · 2 rows in conflict · 4 rows left out behind them",
		"es": "82 llamadas · 8 llamadas pasadas por alto: sus cadenas están retenidas · 1 fila rechazada · 2 filas en conflicto · 4 filas apartadas por estar detrás",
	} {
		body, err := sites[lang].render("schedules", &page{Name: "schedules", Lang: lang, Now: time.Now(), Data: schedulesData{Schedules: []scheduleView{{Last: &run}}}})
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: no %q: %v\n%s", lang, want, err, body)
		}
	}
}

// The rate of a batch counts only what succeeded.
func TestOnlySuccessesAreARateOfAPage(t *testing.T) {
	now := time.Unix(1000, 0)
	c := &Console{o: Options{Now: func() time.Time { return now }}, rates: newRates()}
	see := func(s control.Status) batchView { s.Batch = "one"; return c.view(s) }
	see(control.Status{Total: 100, Open: 100})
	now = now.Add(2 * time.Second)
	if v := see(control.Status{Total: 100, Failed: 10, Skipped: 10, Cancelled: 10, Open: 70}); !v.Rated || v.PerSecond != 0 {
		t.Errorf("%+v", v)
	}
	now = now.Add(2 * time.Second)
	if v := see(control.Status{Total: 100, Succeeded: 40, Open: 60}); v.Rated {
		t.Errorf("one wave has a rate: %+v", v)
	}
	now = now.Add(2 * time.Second)
	if v := see(control.Status{Total: 100, Succeeded: 80, Open: 20}); v.PerSecond != 20 {
		t.Errorf("%+v", v)
	}
	if v := see(control.Status{Total: 100, Cancelled: 100, Settled: true, Stopped: true}); v.Rated {
		t.Errorf("a batch that ended has a rate: %+v", v)
	}
}

// What the log keeps of an action is shown in the language of the page; the prose of a command
// is not.
func TestResultsOfActionsInPlainWords(t *testing.T) {
	for _, lang := range []string{"en", "es"} {
		w := loadWords(lang, time.UTC)
		for _, c := range []struct {
			result string
			control.Outcome
			want [2]string
		}{
			{"", control.Outcome{Count: 1, Unit: control.UnitChain}, [2]string{"1 chain", "1 cadena"}},
			{"", control.Outcome{Count: 1200, Unit: control.UnitCall}, [2]string{"1,200 calls", "1.200 llamadas"}},
			{"", control.Outcome{Count: 96, Unit: control.UnitRow}, [2]string{"96 rows", "96 filas"}},
			{"failed after 3 chains: i/o timeout", control.Outcome{Ended: control.EndedFailed, Count: 3, Unit: control.UnitChain}, [2]string{"failed; done before: 3 chains", "falló; hecho antes: 3 cadenas"}},
			{"failed: no such thing: `enqueue schedule list` has them", control.Outcome{Ended: control.EndedFailed}, [2]string{"failed", "falló"}},
			{"", control.Outcome{Count: 3, Of: 5, Unit: control.UnitRow}, [2]string{"5 rows; 3 new", "5 filas; 3 nuevas"}},
			{"", control.Outcome{Count: 1, Of: 1, Unit: control.UnitRow}, [2]string{"1 row; 1 new", "1 fila; 1 nueva"}},
			{"", control.Outcome{Count: 3, Of: 5, Unit: control.UnitRow, Pruned: 11, Replaced: 1}, [2]string{"5 rows; 3 new; 11 cancelled by prune; 1 replaced", "5 filas; 3 nuevas; 11 canceladas por prune; 1 reemplazada"}},
			{"", control.Outcome{Place: "chain aabbccddeeff"}, [2]string{"chain aabbccdd", "cadena aabbccdd"}},
			{"", control.Outcome{Ended: control.EndedFailed, Count: 3, Of: 5, Unit: control.UnitRow}, [2]string{"failed; done before: 5 rows; 3 new", "falló; hecho antes: 5 filas; 3 nuevas"}},
			{"", control.Outcome{Count: 3, Unit: control.UnitChain, Unread: 2}, [2]string{"3 chains; 2 parts of Redis could not be read", "3 cadenas; no se pudieron leer 2 partes de Redis"}},
			{"", control.Outcome{Unread: 1}, [2]string{"done; 1 part of Redis could not be read", "hecho; no se pudo leer 1 parte de Redis"}},
			{"", control.Outcome{Ended: control.EndedUnchanged}, [2]string{"it was so already", "ya estaba así"}},
			{"", control.Outcome{Place: "batch nightly-1"}, [2]string{"batch nightly-1", "lote nightly-1"}},
			{"", control.Outcome{Count: 1, Of: 5, Unit: control.UnitToken, Failed: 1}, [2]string{"5 tokens; 1 count raised", "5 tokens; 1 contador subió"}},
			{"3 bags", control.Outcome{Count: 3, Unit: "bag"}, [2]string{"3 bags", "3 bags"}}, // a newer version counts those
		} {
			c.Ended = cmp.Or(c.Ended, control.EndedDone)
			if got := w.result(control.AuditEntry{Result: c.result, Outcome: c.Outcome}); got != c.want[map[string]int{"en": 0, "es": 1}[lang]] {
				t.Errorf("%s: %+v is told as %q", lang, c.Outcome, got)
			}
		}
		if got := w.result(control.AuditEntry{Result: "3 new of 5 rows"}); got != "3 new of 5 rows" {
			t.Errorf("%s: what an older version noted is told as %q", lang, got)
		}
		for target, want := range map[string][2]string{
			"cause bad_token of batch one":       {"batch one: The vendor does not accept this token.", "lote one: El proveedor no acepta este token."},
			"cause bad_token of all held chains": {"all held chains: The vendor does not accept this token.", "todas las cadenas retenidas: El proveedor no acepta este token."},
			"call 4kzq-1":                        {"call 4kzq-1", "llamada 4kzq-1"},
			"schedule nightly":                   {"schedule nightly", "programación nightly"},
		} {
			if got := w.target(target); got != want[map[string]int{"en": 0, "es": 1}[lang]] {
				t.Errorf("%s: %q is told as %q", lang, target, got)
			}
		}
		for _, action := range []string{"enqueue", "retry", "skip", "cancel", "reopen", "lift", "sync",
			"schedule add", "schedule pause", "schedule resume", "schedule run", "schedule remove"} {
			if w.sayOr("action."+action, "") == "" {
				t.Errorf("%s has no word for the action %q", lang, action)
			}
		}
		for _, via := range []string{control.ByAPI, control.ByConsole, control.ByCLI, control.ByGo} {
			if w.sayOr("via."+via, "") == "" {
				t.Errorf("%s has no word for the way %q", lang, via)
			}
		}
		if w.who("ana") != "ana" || (w.who(control.Unknown) == control.Unknown) != (lang == "en") {
			t.Errorf("%s: who acted is told as %q and %q", lang, w.who("ana"), w.who(control.Unknown))
		}
	}
}

func TestRates(t *testing.T) {
	r := newRates()
	at := time.Unix(1_800_000_000, 0)
	if _, known := r.note("b", 10, at); known {
		t.Error("known at first sight")
	}
	if n, known := r.note("b", 10, at.Add(fresh/4)); known {
		t.Errorf("%v is known when two pages look at once", n)
	}
	for i := 1; i <= 60; i++ {
		n, known := r.note("b", 10+5*i, at.Add(time.Duration(i)*time.Second))
		if early := i < 3; known == early || !early && n != 5 {
			t.Fatalf("after %d s: %v %t", i, n, known)
		}
	}
	later := at.Add(90 * time.Second)
	for i := range 15 {
		r.note("b", 310, later.Add(time.Duration(i)*time.Second))
	}
	if n, _ := r.note("b", 310, later.Add(15*time.Second)); n != 0 {
		t.Errorf("it stands still: %v", n)
	}
	r.note("c", 1, later.Add(time.Hour))
	if len(r.seen) != 1 {
		t.Error("what nobody looks at is kept")
	}
}
