package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/web/api"
	"habilita/internal/web/api/apitest"
)

const (
	anasKey  = "ana-0123456789abcdefghij"
	bosKey   = "bo-0123456789abcdefghijk"
	theToken = "secret-token-0123456789"
)

// world is the API on a miniredis. Tests do by hand what a worker would do.
type world struct {
	t      testing.TB
	redis  *miniredis.Miniredis
	rdb    redis.UniversalClient
	ledger *ledger.Ledger
	api    *api.API
	op     *control.Control
	tokens *engine.Producer
	url    string
	client *http.Client
	log    *bytes.Buffer
	nonce  int
}

func newWorld(t testing.TB) *world {
	a := apitest.Start(t, "ana:write:"+anasKey+",bo:write:"+bosKey)
	w := &world{t: t, redis: a.Redis, rdb: a.Client, ledger: a.Ledger, api: a.API, op: a.Control, tokens: a.Producer, url: a.URL, log: a.Log}
	w.client = &http.Client{Transport: &watched{t: t}}
	t.Cleanup(func() {
		if strings.Contains(w.log.String(), theToken) {
			t.Error("the log has a token")
		}
	})
	return w
}

// watched checks every answer: none has a token, and one that refuses says why in problem
// details. It keeps every exchange for e2e/openapi, which checks it against the document.
type watched struct{ t testing.TB }

func (h *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(got))
	if bytes.Contains(got, []byte(theToken)) {
		h.t.Errorf("%s %s: the answer has a token", r.Method, r.URL.Path)
	}
	h.problem(res, got)
	if err := apitest.Keep(h.t.Name(), r, body, res, got); err != nil {
		h.t.Error(err)
	}
	return res, nil
}

// problem checks problem details.
func (h *watched) problem(res *http.Response, got []byte) {
	if res.StatusCode < 400 || len(got) == 0 {
		return
	}
	var p struct {
		Type, Title, Instance string
		Status                int
	}
	if err := json.Unmarshal(got, &p); err != nil || res.Header.Get("Content-Type") != "application/problem+json" ||
		p.Status != res.StatusCode || p.Type == "" || p.Title == "" || p.Instance == "" {
		h.t.Errorf("%s %s: no problem details: %d %s %s", res.Request.Method, res.Request.URL.Path, res.StatusCode, res.Header.Get("Content-Type"), got)
	}
	if res.StatusCode == 500 {
		h.t.Errorf("%s %s: 500 %s", res.Request.Method, res.Request.URL.Path, got)
	}
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends a request with Ana's key; header are pairs.
func (w *world) ask(method, path, body string, header ...string) reply {
	w.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, in)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+anasKey)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	got, _ := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(got)}
}

func (w *world) get(path string, header ...string) reply {
	w.t.Helper()
	return w.ask("GET", path, "", header...)
}

func (w *world) postJSON(path, body string, header ...string) reply {
	w.t.Helper()
	return w.ask("POST", path, body, append([]string{"Content-Type", "application/json"}, header...)...)
}

func (w *world) postCSV(path, body string) reply {
	w.t.Helper()
	return w.ask("POST", path, body, "Content-Type", "text/csv")
}

// want fails unless the answer has the status, and gives its body to v (nil: to nothing).
func (r reply) want(t testing.TB, status int, v any) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("got %d, want %d: %s", r.status, status, r.body)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(r.body), v); err != nil {
			t.Fatalf("%v: %s", err, r.body)
		}
	}
	return r
}

// says fails unless the body has the text.
func (r reply) says(t testing.TB, text string) {
	t.Helper()
	if !strings.Contains(r.body, text) {
		t.Errorf("got %d %s, want %q in it", r.status, r.body, text)
	}
}

// attempt lets a worker make the head of the token's chain, with this outcome.
func (w *world) attempt(token string, o ledger.Outcome) {
	w.t.Helper()
	ctx := w.t.Context()
	dispatched, err := w.ledger.DispatchAll(ctx, []string{ledger.Tag(w.tokens.TokenID(engine.Token(token)))}, 1)
	if err != nil || len(dispatched[0].Dispatches) != 1 {
		w.t.Fatalf("dispatch: %+v, %v", dispatched, err)
	}
	w.nonce++
	s, err := w.ledger.Begin(ctx, dispatched[0].Dispatches[0], fmt.Sprint("nonce", w.nonce), "")
	if err != nil || s.Status != ledger.Running {
		w.t.Fatalf("begin: %+v, %v", s, err)
	}
	if _, err = w.ledger.Finish(ctx, &s.Attempt, o, ledger.Stop, fmt.Sprint("next", w.nonce), ""); err != nil {
		w.t.Fatal(err)
	}
}

var (
	done   = ledger.Outcome{Kind: ledger.Done, Slot: ledger.Release, Code: "202", Msg: "enabled"}
	giveUp = ledger.Outcome{Kind: ledger.GiveUp, Slot: ledger.Release, Code: "403", Msg: "PLEASE VALIDATE TOKEN", Err: "refused"}
)
