package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"habilita/internal/web/api"
)

type receipt struct {
	ID, Batch, Chain, Call string
	TokenID                string `json:"token_id"`
	Duplicate              bool
	Due                    string `json:"due_at"`
}

// later is a time that calls are put off until, in the form of the answers.
var later = time.Now().AddDate(1, 0, 0).UTC().Format("2006-01-02T15:04:05.000Z")

// tooLate is a time that no call can be put off until.
var tooLate = time.Now().AddDate(11, 0, 0).UTC().Format(time.RFC3339)

type call struct {
	ID, Batch, Server, Ref, State string
	TokenID                       string `json:"token_id"`
}

func body(more string) string {
	return fmt.Sprintf(`{"server": "42", "token": %q%s}`, theToken, more)
}

func TestEnqueueCall(t *testing.T) {
	w := newWorld(t)
	var got receipt
	r := w.postJSON("/v1/calls", body(`, "licenses": 5, "ref": "Bogotá <1>", "chain": "c1", "at": "`+later+`", "batch": "a/b ñ", "id": "x/1"`)).want(t, 202, &got)
	if got.ID != "x/1" || got.Batch != "a/b ñ" || got.Duplicate || got.Chain != got.TokenID+":c1" || got.Due != later || r.header.Get("Location") != got.Call {
		t.Errorf("%+v %v", got, r.header)
	}
	var c call
	w.get(got.Call).want(t, 200, &c)
	if c.ID != "x/1" || c.Batch != "a/b ñ" || c.Server != "0042" || c.Ref != "Bogotá <1>" || c.State != "queued" || c.TokenID != got.TokenID {
		t.Errorf("%+v", c)
	}
	// The smallest form, twice: two calls.
	var one, two receipt
	w.postJSON("/v1/calls", body("")).want(t, 202, &one)
	w.postJSON("/v1/calls", body("")).want(t, 202, &two)
	if one.ID == two.ID || one.Batch != "" || one.Duplicate || two.Duplicate {
		t.Errorf("%+v %+v", one, two)
	}
	w.get(one.Call).want(t, 200, &c)
	if c.Batch != "" || c.ID != one.ID {
		t.Errorf("%+v", c)
	}
	// A time that has passed is now, whatever its century.
	for _, past := range []string{"0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1999-12-31T23:59:59-05:00"} {
		var now receipt
		w.postJSON("/v1/calls", body(`, "at": "`+past+`"`)).want(t, 202, &now)
		if now.Due != "" {
			t.Errorf("%s: %+v", past, now)
		}
	}
	// The same id, twice: one call.
	w.postJSON("/v1/calls", body(`, "id": "o1"`)).want(t, 202, &one)
	w.postJSON("/v1/calls", body(`, "id": "o1"`)).want(t, 202, &two)
	if one.Duplicate || !two.Duplicate || one.Call != two.Call {
		t.Errorf("%+v %+v", one, two)
	}
}

// The answer to a repeated request has the time of the call that is there, not that of the request.
func TestRepeatedAnswerSaysWhenTheCallIsDue(t *testing.T) {
	w := newWorld(t)
	post := func(more string) (got receipt) {
		t.Helper()
		w.postJSON("/v1/calls", body(more)).want(t, 202, &got)
		return got
	}
	post(`, "id": "off", "at": "` + later + `"`)
	post(`, "id": "joined"`)
	for more, want := range map[string]string{
		`, "id": "off"`: later, `, "id": "off", "at": "1999-12-31T23:59:59Z"`: later, `, "id": "joined"`: "", `, "id": "joined", "at": "` + later + `"`: "",
	} {
		if got := post(more); !got.Duplicate || got.Due != want {
			t.Errorf("%s: %+v, want due %q", more, got, want)
		}
	}
}

// The document and the checks agree about lengths and numbers: each of these is checked
// against both.
func TestCallsAtTheLimitsOfTheDocument(t *testing.T) {
	w := newWorld(t)
	for name, more := range map[string]string{
		"the longest ref, in letters of two bytes": `, "ref": "` + strings.Repeat("ñ", 256) + `"`,
		"the longest ref, in signs of four bytes":  `, "ref": "` + strings.Repeat("😀", 256) + `"`,
		"the longest ref, in pairs of escapes":     `, "ref": "` + strings.Repeat(`\ud83d\ude00`, 256) + `"`,
		"the longest batch":                        `, "batch": "` + strings.Repeat("ñ", 256) + `"`,
		"the longest id":                           `, "id": "` + strings.Repeat("~", 128) + `"`,
		"the longest chain":                        `, "chain": "` + strings.Repeat("!", 128) + `"`,
		"an integer as JSON Schema has it":         `, "licenses": 5.0`,
		"one with an exponent":                     `, "licenses": 1e3`,
		"the most licences":                        `, "licenses": 1000000.0`,
	} {
		t.Run(name, func(t *testing.T) {
			var got receipt
			w.postJSON("/v1/calls", body(more)).want(t, 202, &got)
			w.get(got.Call).want(t, 200, nil)
		})
	}
	var first, again receipt
	w.postJSON("/v1/calls", body(`, "licenses": 5`), "Idempotency-Key", "five").want(t, 202, &first)
	w.postJSON("/v1/calls", body(`, "licenses": 5.0`), "Idempotency-Key", "five").want(t, 202, &again)
	if first.ID != again.ID {
		t.Errorf("%+v %+v", first, again)
	}
	var s summary
	w.postCSV("/v1/batches?batch="+url.QueryEscape(strings.Repeat("ñ", 256)), rows(1)).want(t, 202, &s)
	w.get(s.Status).want(t, 200, nil)
}

func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	post := func(body, key string, header ...string) reply {
		t.Helper()
		return w.postJSON("/v1/calls", body, append([]string{"Idempotency-Key", key}, header...)...)
	}
	var first, again receipt
	post(body(`, "ref": "r"`), "order-1").want(t, 202, &first)
	post(body(`, "ref": "r"`), "order-1").want(t, 202, &again)
	if again != first || first.Duplicate {
		t.Errorf("%+v %+v", first, again)
	}
	// The same call, written otherwise.
	post(`{"token":"`+theToken+`","ref":"r","server":"wv0042"}`, `"order-1"`).want(t, 202, &again)
	if again.ID != first.ID {
		t.Errorf("%+v", again)
	}
	for _, other := range []string{`, "ref": "s"`, `, "ref": "r", "licenses": 2`, `, "ref": "r", "id": "z"`, `, "ref": "r", "batch": "b"`,
		`, "ref": "r", "at": "` + later + `"`, `, "ref": "r", "chain": "c"`} {
		post(body(other), "order-1").want(t, 422, nil).says(t, "idempotency-key")
	}
	post(`{"server": "42", "token": "another-token", "ref": "r"}`, "order-1").want(t, 422, nil)
	// Bo's keys are not Ana's.
	post(body(`, "ref": "another", "batch": "bo"`), "order-1", "Authorization", "Bearer "+bosKey).want(t, 202, &again)
	if again.Duplicate {
		t.Errorf("%+v", again)
	}
	// Equal keys of two clients for one token are two calls.
	var bos receipt
	post(body(`, "ref": "r"`), "1").want(t, 202, &first)
	post(body(`, "ref": "r"`), "1", "Authorization", "Bearer "+bosKey).want(t, 202, &bos)
	if bos.ID == first.ID || bos.Duplicate {
		t.Errorf("%+v %+v", first, bos)
	}
	// An id of the call's own stays.
	post(body(`, "id": "mine"`), "order-2").want(t, 202, &first)
	post(body(`, "id": "mine"`), "order-2").want(t, 202, &again)
	if first.ID != "mine" || first.Duplicate || again != first {
		t.Errorf("%+v %+v", first, again)
	}
	// A repeat is answered as the first request was, even if the call was there before the key.
	for range 2 {
		if post(body(`, "id": "mine"`), "order-4").want(t, 202, &again); !again.Duplicate {
			t.Errorf("%+v", again)
		}
	}
	// A call that is refused does not use up a key: its next one may differ.
	post(body(`, "ref": "`+strings.Repeat("x", 257)+`"`), "order-3").want(t, 422, nil)
	post(body(`, "id": "mine", "chain": "another"`), "order-3").want(t, 409, nil).says(t, "give this one another id")
	w.postJSON("/v1/calls", body(`, "batch": "cancelled"`)).want(t, 202, nil)
	w.ask("POST", "/v1/batches/cancelled/cancel", "").want(t, 200, nil)
	post(body(`, "batch": "cancelled"`), "order-3").want(t, 409, nil).says(t, "reopen")
	post(body(""), "order-3").want(t, 202, nil)
	for _, bad := range []string{"", " ", `"`, `""`, "a b", "ñ", strings.Repeat("x", 129), `a"b`} {
		if bad != "" && strings.TrimSpace(bad) == "" {
			continue // a header's white space is none
		}
		post(body(""), bad).want(t, 400, nil).says(t, "Idempotency-Key")
	}
	// It is known for a day at least, and then expires.
	keys := w.redis.Keys()
	found := 0
	for _, k := range keys {
		if strings.HasPrefix(k, "habilita:idempotency:") {
			found++
			if ttl := w.redis.TTL(k); ttl < 24*time.Hour || ttl > api.IdempotencyLife {
				t.Errorf("%s: %v", k, ttl)
			}
			if v, _ := w.redis.Get(k); strings.Contains(v, theToken) || strings.Contains(k, "order") {
				t.Errorf("%s %s", k, v)
			}
		}
	}
	if found != 7 {
		t.Errorf("%d keys", found)
	}
}

// A worker that died between the key and the call leaves a key under which that call can
// be enqueued.
func TestIdempotencyKeyWithoutItsCall(t *testing.T) {
	w := newWorld(t)
	w.redis.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	w.postJSON("/v1/calls", body(""), "Idempotency-Key", "k").want(t, 507, nil)
	w.redis.SetError("")
	var r receipt
	w.postJSON("/v1/calls", body(""), "Idempotency-Key", "k").want(t, 202, &r)
	w.ledgerLoses(r)
	var again receipt
	w.postJSON("/v1/calls", body(""), "Idempotency-Key", "k").want(t, 202, &again)
	if again != r || r.Duplicate {
		t.Errorf("%+v, and then %+v", r, again)
	}
}

// ledgerLoses takes all but the idempotency keys away.
func (w *world) ledgerLoses(r receipt) {
	w.t.Helper()
	for _, k := range w.redis.Keys() {
		if strings.Contains(k, "{"+r.TokenID[:2]+"}") {
			w.redis.Del(k)
		}
	}
}

// If many requests come under one key, one makes the call, and all get its answer.
func TestOneOfManyUnderOneKey(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	answers := map[receipt]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			var r receipt
			w.postJSON("/v1/calls", body(""), "Idempotency-Key", "k").want(t, 202, &r)
			mu.Lock()
			defer mu.Unlock()
			answers[r] = true
		})
	}
	all.Wait()
	calls := 0
	for _, k := range w.redis.Keys() {
		if strings.Contains(k, ":calls:") {
			fields, _ := w.redis.HKeys(k)
			calls += len(fields)
		}
	}
	if calls != 1 || len(answers) != 1 {
		t.Errorf("%d calls, answers %v", calls, answers)
	}
}

func TestShowCall(t *testing.T) {
	w := newWorld(t)
	w.get("/v1/calls/none").want(t, 404, nil).says(t, "no call of this id")
	for _, batch := range []string{"one", "two"} {
		w.postJSON("/v1/calls", body(`, "id": "same", "batch": "`+batch+`"`)).want(t, 202, nil)
	}
	w.postJSON("/v1/calls", body(`, "id": "same"`)).want(t, 202, nil)
	w.get("/v1/calls/same").want(t, 409, nil).says(t, "3 calls")
	var c call
	w.get("/v1/calls/same?batch=two").want(t, 200, &c)
	if c.Batch != "two" {
		t.Errorf("%+v", c)
	}
	w.get("/v1/calls/same?batch=").want(t, 200, &c)
	if c.Batch != "" {
		t.Errorf("%+v", c)
	}
	w.get("/v1/calls/same?batch=three").want(t, 404, nil).says(t, "in another batch")
	w.get("/v1/calls/same?batch=two&token_id=x").want(t, 404, nil).says(t, "of another token")
	w.get("/v1/calls/%2A").want(t, 404, nil)
}
