package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/access"
	"habilita/internal/actionlog"
	"habilita/internal/agreement"
	"habilita/internal/chain"
	"habilita/internal/httpapi"
	"habilita/internal/operator"
	"habilita/internal/streaming"
	"habilita/internal/vault"
	"habilita/quota"
	"habilita/tasks"
)

const (
	anasKey  = "ana-0123456789abcdefghij"
	bosKey   = "bo-0123456789abcdefghijk"
	theToken = "secret-token-0123456789"
)

// world is the API on a miniredis, and what a worker would do by hand.
type world struct {
	t      testing.TB
	redis  *miniredis.Miniredis
	rdb    redis.UniversalClient
	ledger *chain.Ledger
	api    *httpapi.API
	op     *operator.Operator
	tokens httpapi.Producer
	url    string
	client *http.Client
	log    bytes.Buffer
	nonce  int
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, redis: miniredis.RunT(t)}
	w.rdb = redis.NewClient(&redis.Options{Addr: w.redis.Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = w.rdb.Close() })
	key, err := vault.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	producer, err := tasks.NewProducer(t.Context(), w.rdb, tasks.Options{Keys: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close() })
	w.tokens = producer
	if w.op, err = operator.Open(w.rdb, "", quota.Settings{}); err != nil {
		t.Fatal(err)
	}
	limiter, err := quota.New(w.rdb, quota.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = chain.New(w.rdb, chain.Options{MaxAttempts: 3, Admission: chain.Admission{
		Library: quota.Library(), Args: func() []any { return limiter.Settings().Args(limiter.Now(), time.Time{}) },
	}})
	w.api = httpapi.New(httpapi.Options{
		MaxBatch: 1 << 20, Redis: w.rdb, Producer: producer, Operator: w.op, Actions: actionlog.New(w.rdb, "habilita"),
		Registry: agreement.New(w.rdb, "habilita"), Log: zerolog.New(zerolog.SyncWriter(&w.log)),
	})
	keys, err := access.ParseKeys("ana:write:" + anasKey + ",bo:write:" + bosKey)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := access.New(keys, "0.0.0.0:1", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(guard.Wrap(w.api))
	server.Config.ReadTimeout = 2 * time.Second // a body that is slower is cut off
	server.Start()
	t.Cleanup(server.Close)
	w.url = server.URL
	w.client = &http.Client{Transport: &held{t: t, document: loadDocument(t)}}
	t.Cleanup(func() {
		if strings.Contains(w.log.String(), theToken) {
			t.Error("the log has a token")
		}
	})
	return w
}

func loadDocument(t testing.TB) validator.Validator {
	t.Helper()
	text, err := readDocument()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return v
}

// held holds every request and answer against the document. A request that was refused
// need not be one that the document allows.
type held struct {
	t        testing.TB
	document validator.Validator
}

func (h *held) RoundTrip(r *http.Request) (*http.Response, error) {
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
	defer func() { res.Body = io.NopCloser(bytes.NewReader(got)) }()
	if bytes.Contains(got, []byte(theToken)) {
		h.t.Errorf("%s %s: the answer has a token", r.Method, r.URL.Path)
	}
	if res.StatusCode == 404 || res.StatusCode == 405 || r.Method == http.MethodHead {
		h.problem(res, got)
		return res, nil // of no operation, perhaps
	}
	if res.StatusCode < 400 {
		copied := r.Clone(r.Context())
		copied.Body = io.NopCloser(bytes.NewReader(body))
		if copied.Header.Get("Content-Encoding") != "" { // which the validator does not read
			copied.Header.Del("Content-Encoding")
			copied.Body = io.NopCloser(streaming.Gunzip(bytes.NewReader(body)))
		}
		if strings.Contains(r.Header.Get("Content-Type"), "ndjson") {
			copied.Header.Set("Content-Type", "text/csv") // the validator takes every line for a second body
		}
		if ok, errs := h.document.ValidateHttpRequestSync(copied); !ok {
			for _, e := range errs {
				h.t.Errorf("%s %s: the document has no such request: %s: %s %v", r.Method, r.URL.Path, e.Message, e.Reason, e.SchemaValidationErrors)
			}
		}
	}
	res.Body = io.NopCloser(bytes.NewReader(got))
	if ok, errs := h.document.ValidateHttpResponse(r, res); !ok {
		for _, e := range errs {
			h.t.Errorf("%s %s: the document has no such answer: %s: %s %v\n%s", r.Method, r.URL.Path, e.Message, e.Reason, e.SchemaValidationErrors, got)
		}
	}
	h.problem(res, got)
	return res, nil
}

// problem checks problem details.
func (h *held) problem(res *http.Response, got []byte) {
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
func (w *world) attempt(token string, o chain.Outcome) {
	w.t.Helper()
	ctx := w.t.Context()
	pumped, err := w.ledger.Pump(ctx, chain.Tag(w.tokens.TokenID(tasks.Token(token))), 1)
	if err != nil || len(pumped.Fed) != 1 {
		w.t.Fatalf("pump: %+v, %v", pumped, err)
	}
	w.nonce++
	s, err := w.ledger.Begin(ctx, pumped.Fed[0], fmt.Sprint("nonce", w.nonce), "")
	if err != nil || s.Status != chain.Running {
		w.t.Fatalf("begin: %+v, %v", s, err)
	}
	if _, err = w.ledger.Finish(ctx, s.Attempt, o, chain.Stop, fmt.Sprint("next", w.nonce), ""); err != nil {
		w.t.Fatal(err)
	}
}

var (
	done   = chain.Outcome{Kind: chain.Done, Slot: chain.Release, Code: "202", Msg: "enabled"}
	giveUp = chain.Outcome{Kind: chain.GiveUp, Slot: chain.Release, Code: "403", Msg: "PLEASE VALIDATE TOKEN", Err: "refused"}
)
