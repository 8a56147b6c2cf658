package guard

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"
)

const rightKey = "right-0123456789abcdefghij"

func throttled(t *testing.T) (*Guard, func(from, key string) *httptest.ResponseRecorder) {
	t.Helper()
	keys, err := ParseKeys("ana:write:" + rightKey)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(keys, "0.0.0.0:8080", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	h := g.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return g, func(from, key string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "http://any.example/v1/batches", nil)
		r.RemoteAddr = from
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
}

func TestWrongKeysAreThrottled(t *testing.T) { synctest.Test(t, wrongKeysAreThrottled) }

func wrongKeysAreThrottled(t *testing.T) {
	g, ask := throttled(t)
	for i := range wrongKeys {
		if w := ask("203.0.113.7:1", "wrong-"+strconv.Itoa(i)); w.Code != 401 || w.Header().Get("Retry-After") != "" {
			t.Fatalf("%d: %d %s", i, w.Code, w.Body)
		}
	}
	for i := range 3 {
		w := ask("203.0.113.7:2", "wrong again")
		if w.Code != 429 || w.Header().Get("Retry-After") != "6" || !strings.Contains(w.Body.String(), "urn:habilita:problem:wrong-keys") {
			t.Errorf("%d: %d %v %s", i, w.Code, w.Header(), w.Body)
		}
	}
	// A browser keeps a password until it gets 401. A person who mistyped it is asked again, however many wrong keys
	// programs give.
	r := httptest.NewRequest("GET", "http://any.example/", nil)
	r.SetBasicAuth("ana", "mistyped")
	r.Header.Set("Accept", "text/html")
	page := httptest.NewRecorder()
	g.Wrap(http.NotFoundHandler()).ServeHTTP(page, r)
	if page.Code != 401 || !strings.Contains(strings.Join(page.Header().Values("WWW-Authenticate"), " "), "Basic") {
		t.Errorf("a browser: %d %v", page.Code, page.Header())
	}
	time.Sleep(wrongEvery)
	if w := ask("203.0.113.7:1", "wrong"); w.Code != 401 {
		t.Errorf("after a while: %d", w.Code)
	}
	if w := ask("203.0.113.7:1", rightKey); w.Code != 200 {
		t.Errorf("a right key: %d", w.Code)
	}
	if w := ask("203.0.113.7:1", ""); w.Code != 401 {
		t.Errorf("no key: %d", w.Code)
	}
	for status, want := range map[string]float64{"401": wrongKeys + 2, "429": 3} {
		var m dto.Metric
		if err := g.wrong.WithLabelValues(status).Write(&m); err != nil {
			t.Fatal(err)
		}
		if n := m.Counter.GetValue(); n != want {
			t.Errorf("%s is counted %v times, want %v", status, n, want)
		}
	}
}
