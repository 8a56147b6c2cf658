package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"habilita/internal/testkit/wolkvoxtest"
	"habilita/internal/web/console/consoletest"
	"habilita/internal/web/guard"
)

func TestDecisionsAreAskedAboutDoneAndWrittenDown(t *testing.T) {
	w := open(t, consoletest.Options{Vendor: strict(), Who: guard.Principal{Name: "ana", CanWrite: true}})
	w.enqueue("one", "bad-1", 3)
	w.settled("one")
	chain := w.held().ID
	w.get("/chains").has(t, 200, "does not accept this token", "/decide?do=retry&amp;chain="+chain)
	w.get("/decide?do=skip&chain="+chain).has(t, 200, "Skip this call?", `method="post"`, "under the name ana")
	if w.held().ID != chain {
		t.Error("asking did something")
	}
	a := w.ask("POST", "/decide", url.Values{"do": {"skip"}, "chain": {chain}})
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/chains" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	w.toldOnce(a, "1 held call was skipped")
	if s := w.settled("one"); s.Skipped != 1 {
		t.Errorf("%+v", s)
	}
	a = w.ask("POST", "/decide", url.Values{"do": {"cancel"}, "batch": {"one"}})
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/batches/one" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	// Somebody else was first: nothing is done, and the page says so.
	w.ask("POST", "/decide", url.Values{"do": {"retry"}, "chain": {chain}}).has(t, http.StatusConflict, "already")
	logPage, err := w.Actions.Before(t.Context(), "", 10)
	log := logPage.Items
	if err != nil || len(log) != 2 {
		t.Fatalf("%+v %v", log, err)
	}
	for i, want := range []string{"cancel batch one 2 calls", "skip chain " + chain + " 1 chain"} {
		if e := log[i]; e.Action+" "+e.Target+" "+e.Result != want || e.Who != "ana" || e.Via != "console" {
			t.Errorf("%+v, want %s", e, want)
		}
	}
	w.get("/actions", "Accept-Language", "es").has(t, 200, "ana", "omitir", "cancelar", "lote one", "2 llamadas", "consola")
}

func TestOtherSitesPagesChangeNothing(t *testing.T) {
	w := open(t, consoletest.Options{Vendor: strict()})
	w.enqueue("one", "bad-1", 2)
	w.settled("one")
	form := url.Values{"do": {"cancel"}, "batch": {"one"}}
	w.ask("POST", "/decide", form, "Sec-Fetch-Site", "cross-site").has(t, http.StatusForbidden, "another site")
	w.ask("POST", "/decide", form, "Origin", "https://evil.example").has(t, http.StatusForbidden)
	w.get("/decide?do=cancel&batch=one", "Sec-Fetch-Site", "cross-site").has(t, 200) // asks, and does nothing
	for _, method := range []string{"PUT", "DELETE", "PATCH"} {
		if a := w.ask(method, "/decide", form); a.status < 400 {
			t.Errorf("%s: %d", method, a.status)
		}
	}
	if s := w.settled("one"); s.Cancelled != 0 || s.HeldChains != 1 {
		t.Errorf("%+v", s)
	}
}

func TestWhoMayOnlyLookSeesNoButtons(t *testing.T) {
	w := open(t, consoletest.Options{Vendor: strict(), Who: guard.Principal{Name: "board"}})
	w.enqueue("one", "bad-1", 2)
	w.settled("one")
	for _, path := range []string{"/", "/batches/one", "/chains"} {
		a := w.get(path)
		a.has(t, 200, "read-only")
		a.hasNot(t, "/decide")
	}
	w.get("/decide?do=cancel&batch=one").has(t, http.StatusForbidden, "may only look")
	w.ask("POST", "/decide", url.Values{"do": {"cancel"}, "batch": {"one"}}).has(t, http.StatusForbidden, "may only look")
	if s := w.settled("one"); s.Cancelled != 0 {
		t.Errorf("%+v", s)
	}
}

func TestServersThatAreDownCanBeTriedAtOnce(t *testing.T) {
	w := open(t, consoletest.Options{NoWorker: true})
	for name, state := range map[string]string{"0001": "closed", "0007": "open"} {
		if err := w.Server(t.Context(), name, state, 100, 40); err != nil {
			t.Fatal(err)
		}
	}
	a := w.get("/servers")
	a.has(t, 200, "40 / 100", "40 %", "down: calls put off", "/decide?do=lift&amp;server=0007")
	a.hasNot(t, "server=0001")
	w.get("/decide?do=lift&server=0007").has(t, 200, "Make calls to this server again?", `name="server" value="0007"`)
	a = w.ask("POST", "/decide", url.Values{"do": {"lift"}, "server": {"0007"}})
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/servers" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	all, err := w.Health.Servers(t.Context(), time.Time{})
	if err != nil || len(all) != 2 || all[1].State != "closed" {
		t.Errorf("%+v %v", all, err)
	}
	logPage, err := w.Actions.Before(t.Context(), "", 9)
	log := logPage.Items
	if err != nil || len(log) != 1 || log[0].Target != "server 0007" || log[0].Action != "lift" {
		t.Errorf("%+v %v", log, err)
	}
}

func TestACoolDownCanBeEnded(t *testing.T) {
	o := strict()
	o.Script = func(r wolkvoxtest.Record) wolkvoxtest.Fault {
		return wolkvoxtest.Fault{Kind: wolkvoxtest.TokenLimit}
	}
	w := open(t, consoletest.Options{Vendor: o})
	w.enqueue("one", "good-1", 2)
	var token string
	for token == "" {
		rows, err := w.Control.Quota(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if !r.CoolingUntil.IsZero() {
				token = r.TokenID
			}
		}
	}
	w.get("/tokens").has(t, 200, "quota is used up", "/decide?do=lift&amp;token="+token)
	w.get("/chains?show=all").has(t, 200, "left alone for a while: the vendor says")
	w.get("/decide?do=lift&token="+token).has(t, 200, "End the cool-down", `name="token" value="`+token+`"`)
	a := w.ask("POST", "/decide", url.Values{"do": {"lift"}, "token": {token}})
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/tokens" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
}

func TestHeldChainsAreDecidedOnTogether(t *testing.T) {
	w := open(t, consoletest.Options{Vendor: strict()})
	for i := range 30 {
		w.enqueue("many", fmt.Sprint("bad-", i), 2)
	}
	w.enqueue("other", "bad-other", 1)
	w.enqueue("other", "down-1", 2)
	w.settled("many")
	w.settled("other")
	groups := w.get("/chains")
	groups.has(t, 200, "31 chains", "Retry all 31", "Cancel all 31", "The vendor does not accept this token.", "give the file again with <code class=\"option\">--prune</code>",
		"<title>(32) Chains", "/chains?cause=bad_token", "failed (5xx)", "30 calls wait behind them.")
	groups.hasNot(t, "Skip all")
	if n := strings.Count(groups.body, "<li data-key"); n != 3 {
		t.Errorf("%d examples", n)
	}
	w.get("/batches/many").has(t, 200, `href="/chains?batch=many"`)
	// All held chains of a batch: for one of the two a skip is futile.
	w.get("/decide?do=skip&batch=other").has(t, 200, "Skip all held calls of this batch?", "1 chain has a wrong token. Its next call will fail")
	w.get("/decide?do=skip&batch=other", "Accept-Language", "es").has(t, 200, "1 cadena tiene un token equivocado.")
	w.get("/decide?do=retry&batch=other").hasNot(t, "wrong token")
	w.get("/decide?do=skip&cause=server_error").hasNot(t, "wrong token")
	w.get("/chains?batch=many").has(t, 200, "Retry all 30", "/decide?batch=many&amp;cause=bad_token&amp;do=retry")
	first := w.get("/chains?cause=bad_token")
	first.has(t, 200, `href="/chains?cause=bad_token&amp;cursor=25"`)
	second := w.get("/chains?cause=bad_token&cursor=25")
	if a, b := strings.Count(first.body, "is-held"), strings.Count(second.body, "is-held"); a != 25 || b != 6 {
		t.Errorf("%d and %d cards", a, b)
	}
	w.get("/decide?do=skip&cause=bad_token&batch=many").has(t, 200, "Skip all of these calls?", "30 chains", "30 chains have a wrong token", "fail for the same reason")
	a := w.ask("POST", "/decide", url.Values{"do": {"cancel"}, "cause": {"bad_token"}, "batch": {"many"}})
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/chains?batch=many" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	w.toldOnce(a, "60 calls were cancelled.")
	w.get("/chains?batch=many").has(t, 200, "Nothing is held")
	if s := w.settled("other"); s.HeldChains != 2 {
		t.Errorf("%+v", s)
	}
	w.get("/batches/many").has(t, 200, ">cancelled<", "60 calls were not made.")
	w.get("/actions").has(t, 200, "batch many: The vendor does not accept this token.")
}
