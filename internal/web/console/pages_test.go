package console_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/schedule"
	"habilita/internal/testkit/redistest"
	"habilita/internal/web/console/consoletest"
)

func TestEmptyPagesSayWhatToDo(t *testing.T) {
	w := open(t, consoletest.Options{NoWorker: true})
	w.get("/").has(t, 200, "No batch yet", "enqueue bulk", "No worker is alive")
	w.get("/", "Accept-Language", "es-CO").has(t, 200, "Aún no hay lotes", "enqueue bulk", `lang="es"`)
	w.get("/chains").has(t, 200, "Nothing is held")
	w.get("/chains?show=all").has(t, 200, "No chain has work")
	w.get("/tokens").has(t, 200, "No token yet")
	w.get("/workers").has(t, 200, "Start a worker")
	w.get("/schedules").has(t, 200, "No schedule yet", "enqueue schedule add")
	w.get("/servers").has(t, 200, "No server was called yet")
	w.get("/actions").has(t, 200, "Nobody decided anything yet")
}

func TestEveryAnswerIsLockedUp(t *testing.T) {
	w := open(t, consoletest.Options{NoWorker: true})
	w.enqueue("one", "secret-token-one", 3)
	for _, path := range append(consoletest.Pages(), "/events", "/assets/x/console.js") {
		a := w.get(path)
		policy := a.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: policy %q has no %q", path, policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") || a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Referrer-Policy") == "" {
			t.Errorf("%s: %v", path, a.header)
		}
		if !strings.HasPrefix(path, "/assets/") && a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept: %q", path, a.header.Get("Cache-Control"))
		}
		a.hasNot(t, "secret-token-one", "onclick", "style=", "<style", "javascript:", "http://", "https://")
	}
}

func TestWhatProducersGiveIsText(t *testing.T) {
	w := open(t, consoletest.Options{Vendor: strict()})
	const evil = `<script>alert(1)</script>"'&`
	_, err := w.Producer.EnqueueBatch(t.Context(), evil, func(yield func(engine.Call, error) bool) {
		yield(engine.Call{Server: "0001", Token: "bad-1", Ref: evil, ID: "=1+1"}, nil)
	}, engine.BatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.settled(evil)
	path := "/batches/" + url.PathEscape(evil)
	for _, p := range []string{"/", path, "/chains", "/decide?do=retry&batch=" + url.QueryEscape(evil), path + "?q=" + url.QueryEscape(evil)} {
		a := w.get(p)
		a.has(t, 200, "&lt;script&gt;alert(1)")
		a.hasNot(t, "<script>alert")
	}
	w.get("/").has(t, 200, `href="`+strings.ReplaceAll(path, "&", "&amp;")+`"`)
}

func TestCallsAreFilteredSearchedAndPaged(t *testing.T) {
	w := open(t, consoletest.Options{Vendor: strict()})
	w.enqueue("many", "good-1", 120)
	w.enqueue("many", "bad-1", 3)
	w.settled("many")
	w.get("/batches/many?state=failed").has(t, 200, "ref 0", "does not accept this token", "PLEASE VALIDATE TOKEN")
	w.get("/batches/many?state=failed").hasNot(t, "ref 1<")
	w.get("/batches/many?q=REF+119").has(t, 200, "ref 119")
	w.get("/batches/many?q=nothing").has(t, 200, "No call matches")
	w.get("/batches/many?q="+strings.Repeat("ñ", 256)).has(t, 200, "No call matches", `maxlength="256"`) // the longest ref
	seen := map[string]bool{}
	pages := 0
	for path := "/batches/many?state=succeeded"; path != ""; pages++ {
		a := w.get(path)
		a.has(t, 200)
		for _, part := range strings.Split(a.body, "<span>ref ")[1:] {
			n, _, _ := strings.Cut(part, "<")
			seen[n] = true
		}
		_, rest, more := strings.Cut(a.body, `rel="next" class="button" href="`)
		if path = ""; more {
			path, _, _ = strings.Cut(rest, `"`)
			path = strings.ReplaceAll(path, "&amp;", "&")
		}
	}
	if len(seen) != 120 || pages < 3 {
		t.Errorf("%d calls on %d pages", len(seen), pages)
	}
	w.get("/batches/many?state=failed&q=+a%26b+").has(t, 200, `href="/v1/batches/many/calls.csv?ref=a%26b&amp;state=failed"`)
	for _, path := range []string{"/batches/many?state=no", "/batches/many?cursor=x", "/tokens?cursor=-1", "/tokens?cursor=x", "/?cursor=x",
		"/chains?show=x", "/chains?cause=x", "/chains?show=all&batch=many", "/chains?cause=bad_token&cursor=-1", "/chains?batch=nope", "/decide?do=retry&cause=x", "/decide?do=lift&cause=bad_token", "/chains?cause=bad_token&cursor=x", "/chains?show=all&cursor=x", "/actions?cursor=x", "/events?topic=x", "/decide?do=x&batch=many", "/decide?do=retry",
		"/decide?do=retry&batch=many&chain=x", "/decide?do=lift&batch=many", "/decide?do=lift&server=0001&batch=many", "/decide?do=lift&token=x", "/decide?do=retry&server=0001", "/decide?do=retry&chain=x", "/batches/many?q=" + strings.Repeat("ñ", 257),
		"/batches/none", "/assets/x/y"} {
		if a := w.get(path); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

func TestRedisAway(t *testing.T) {
	w := open(t, consoletest.Options{NoWorker: true})
	w.Redis.SetError("LOADING Redis is loading the dataset in memory")
	for _, path := range []string{"/", "/chains", "/tokens", "/workers", "/actions", "/batches/x", "/schedules"} {
		a := w.get(path)
		a.has(t, http.StatusServiceUnavailable, "Redis does not answer", "Redis is reading its data from disk", `http-equiv="refresh" content="5"`)
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
	w.ask("POST", "/decide", url.Values{"do": {"cancel"}, "batch": {"x"}}).has(t, http.StatusServiceUnavailable)
	w.Redis.SetError("")
}

// Held chains are grouped by cause, and decided on together; a batch leads to its own.
// Thousands of them show as a group with a few examples, the oldest first, and as pages of cards.
func TestThousandsOfHeldChainsAreASmallPage(t *testing.T) {
	const chains = 1000 // 5,000 make pages of the same size
	w := open(t, consoletest.Options{Vendor: strict()})
	w.enqueue("first", "bad-oldest", 1)
	w.settled("first")
	_, err := w.Producer.EnqueueBatch(t.Context(), "many", func(yield func(engine.Call, error) bool) {
		for i := range chains - 1 {
			if !yield(engine.Call{Server: "1", Token: engine.Token(fmt.Sprint("bad-", i)), Ref: fmt.Sprint("ref-", i)}, nil) {
				return
			}
		}
	}, engine.BatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.settled("many")
	for _, c := range []struct {
		path  string
		cards int
		want  []string
	}{
		{"/chains", 1, []string{"<title>(1,000) Chains", "1,000 chains", "Retry all 1,000"}},
		{"/chains?cause=bad_token", 25, []string{"first", `href="/chains?cause=bad_token&amp;cursor=25"`}},
		{"/chains?show=all", 50, nil},
		{"/batches/many", 0, []string{"999 chains held"}},
		{"/", 0, []string{"<title>(1,000) "}},
		{"/decide?do=cancel&cause=bad_token", 0, []string{"1,000 chains"}},
	} {
		began := time.Now()
		a := w.get(c.path)
		a.has(t, 200, c.want...)
		t.Logf("%s: %d bytes in %s", c.path, len(a.body), time.Since(began).Round(time.Millisecond))
		if n := strings.Count(a.body, "card chain is-held"); n > c.cards || c.cards > 0 && n == 0 {
			t.Errorf("%s: %d cards", c.path, n)
		}
		if len(a.body) > 100<<10 {
			t.Errorf("%s has %d bytes", c.path, len(a.body))
		}
	}
	oldest := w.get("/chains?cause=bad_token").body
	if first, other := strings.Index(oldest, "/batches/first"), strings.Index(oldest, "/batches/many"); first < 0 || other < first {
		t.Errorf("the chain that is held for longest stands at %d, another one at %d", first, other)
	}
}

// A batch that was put off, and one that stopped at its canaries, say so in both languages.
func TestABatchThatWaitsSaysSo(t *testing.T) {
	w := open(t, consoletest.Options{Vendor: strict()})
	call := func(token string) func(func(engine.Call, error) bool) {
		return func(yield func(engine.Call, error) bool) {
			_ = yield(engine.Call{Server: "0001", Token: engine.Token(token)}, nil) && yield(engine.Call{Server: "0001", Token: "good-2"}, nil)
		}
	}
	due := time.Now().Add(30 * time.Hour)
	said := due.In(time.FixedZone("America/Bogota", -5*60*60)).Format("2006-01-02 15:04")
	if _, err := w.Producer.EnqueueBatch(t.Context(), "later", call("good-1"), engine.BatchOptions{NotBefore: due}); err != nil {
		t.Fatal(err)
	}
	var held *engine.CanaryError
	if _, err := w.Producer.EnqueueBatch(t.Context(), "first", call("bad-1"), engine.BatchOptions{Canary: 1}); !errors.As(err, &held) {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/batches/later"} {
		w.get(path).has(t, 200, "starts "+said)
		w.get(path, "Accept-Language", "es").has(t, 200, "empieza el "+said)
	}
	w.get("/batches/later").hasNot(t, "in progress", "nothing finishes")
	for _, path := range []string{"/", "/batches/first"} {
		w.get(path).has(t, 200, "stopped at its first tokens")
		w.get(path).hasNot(t, "100 %", "done, with failures")
		w.get(path, "Accept-Language", "es").has(t, 200, "detenido en sus primeros tokens")
	}
}

// While a part of Redis is away, pages show the rest, say that it is not all, and let people decide on it.
func TestAPartOfRedisIsAway(t *testing.T) {
	w := open(t, consoletest.Options{Vendor: strict()})
	// The tokens must be in different buckets; their names differ from run to run.
	var tokens []string
	taken := map[string]bool{}
	for _, kind := range []string{"bad", "bad", "good"} {
		for i := 0; ; i++ {
			token := fmt.Sprint(kind, "-", len(tokens), "-", i)
			if tag := ledger.Tag(w.Producer.TokenID(engine.Token(token))); !taken[tag] {
				taken[tag], tokens = true, append(tokens, token)
				break
			}
		}
	}
	w.enqueue("one", tokens[0], 3)
	w.enqueue("one", tokens[1], 3)
	w.enqueue("two", tokens[2], 3)
	if s := w.settled("one"); s.HeldChains != 2 {
		t.Fatalf("%+v", s)
	}
	w.settled("two")
	for _, token := range []string{tokens[0], tokens[2]} {
		bucket := "habilita:{" + ledger.Tag(w.Producer.TokenID(engine.Token(token))) + "}:"
		if err := redistest.Spoil(w.Redis, bucket, "held", "tokens"); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/", "/chains", "/chains?show=all", "/batches/one", "/batches/two", "/tokens"} {
		w.get(path).has(t, 200, "2 of 1,024 parts of Redis can&#39;t be read now")
		w.get(path, "Accept-Language", "es").has(t, 200, "no se pueden leer 2 de 1.024 partes de Redis")
	}
	w.get("/batches/two").has(t, 200, "a part can&#39;t be read now")
	w.get("/batches/two").hasNot(t, ">done<", ">100 %<")
	w.get("/batches/one").has(t, 200, "1 chain held")
	for _, name := range []string{"there", "away-1", "away-2", "away-3"} {
		d := schedule.Definition{Name: name, Cron: "0 2 * * *", Timezone: "America/Bogota"}
		if err := w.Schedules.Put(t.Context(), d, 3, "r1", false); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"away-1", "away-2", "away-3"} {
		if err := redistest.Spoil(w.Redis, "habilita:{s:"+schedule.ID(name)+"}:"); err != nil {
			t.Fatal(err)
		}
	}
	w.get("/schedules").has(t, 200, ">there<", "3 of 1,024 parts of Redis can&#39;t be read now")
	w.get("/schedules").hasNot(t, "away-")
	r := w.ask("POST", "/decide", url.Values{"do": {"skip"}, "batch": {"one"}})
	r.has(t, http.StatusSeeOther)
	w.get("/", "Cookie", strings.Split(r.header.Get("Set-Cookie"), ";")[0]).has(t, 200, "1 held call was skipped", "was not acted on")
}

// A batch that a producer fills says so; one whose producer died, or left rows out, is not done.
func TestABatchThatLacksRowsIsNotDone(t *testing.T) {
	w := open(t, consoletest.Options{Vendor: strict()})
	died := errors.New("the file went away")
	look := func(status, spanish string, not ...string) {
		t.Helper()
		for _, path := range []string{"/", "/batches/one"} {
			w.get(path).has(t, 200, status)
			w.get(path).hasNot(t, not...)
			w.get(path, "Accept-Language", "es").has(t, 200, spanish)
		}
	}
	_, err := w.Producer.EnqueueBatch(t.Context(), "one", func(yield func(engine.Call, error) bool) {
		yield(engine.Call{Server: "0001", Token: "good-1"}, nil)
		yield(engine.Call{}, died)
	}, engine.BatchOptions{})
	if !errors.Is(err, died) {
		t.Fatal(err)
	}
	w.settled("one")
	look(">incomplete<", ">incompleto<", ">done<", ">100 %<", "100 % succeeded", "100 percent succeeded")
	w.get("/batches/one").has(t, 200, "Give the file again")
	_, err = w.Producer.EnqueueBatch(t.Context(), "two", func(yield func(engine.Call, error) bool) {
		yield(engine.Call{Server: "0001", Token: "good-1"}, nil)
		w.get("/batches/two").has(t, 200, "still being enqueued")
	}, engine.BatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.enqueue("one", "good-1", 1)
	w.settled("one")
	for began := time.Now(); !strings.Contains(w.get("/batches/one").body, ">done<"); {
		if time.Since(began) > patience {
			t.Fatal("given again as a whole, it is not done")
		}
	}
}
