package guard

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
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

func TestWrongKeysAreThrottled(t *testing.T) {
	for name, c := range map[string]struct {
		from  func(i int) string
		other string // an address that is counted apart
	}{
		"IPv4, any port":            {func(i int) string { return fmt.Sprintf("203.0.113.7:%d", 1000+i) }, "203.0.113.8:1"},
		"IPv6, any host of its /64": {func(i int) string { return fmt.Sprintf("[2001:db8:0:1::%x]:1", i+1) }, "[2001:db8:0:2::1]:1"},
		"IPv4 within IPv6":          {func(i int) string { return []string{"203.0.113.7:1", "[::ffff:203.0.113.7]:1"}[i%2] }, "[::ffff:203.0.113.8]:1"},
		"none that can be read":     {func(i int) string { return []string{"@", ""}[i%2] }, "203.0.113.8:1"},
	} {
		t.Run(name, func(t *testing.T) {
			g, ask := throttled(t)
			for i := range WrongKeys {
				if w := ask(c.from(i), "wrong-"+strconv.Itoa(i)); w.Code != 401 || w.Header().Get("Retry-After") != "" {
					t.Fatalf("%d: %d %s", i, w.Code, w.Body)
				}
			}
			for i := range 3 {
				w := ask(c.from(i), "wrong again")
				after, err := strconv.Atoi(w.Header().Get("Retry-After"))
				if w.Code != 429 || err != nil || after < 1 || after > 6 || !strings.Contains(w.Body.String(), "urn:habilita:problem:wrong-keys") {
					t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
				}
			}
			// Behind a proxy others have the address too.
			if w := ask(c.from(0), rightKey); w.Code != 200 {
				t.Errorf("a right key: %d", w.Code)
			}
			if w := ask(c.from(0), ""); w.Code != 401 {
				t.Errorf("no key: %d", w.Code)
			}
			if w := ask(c.other, "wrong"); w.Code != 401 {
				t.Errorf("another address: %d", w.Code)
			}
			for status, want := range map[string]float64{"401": WrongKeys + 1, "429": 3} {
				var m dto.Metric
				if err := g.wrong.WithLabelValues(status).Write(&m); err != nil {
					t.Fatal(err)
				}
				if n := m.Counter.GetValue(); n != want {
					t.Errorf("%s is counted %v times, want %v", status, n, want)
				}
			}
		})
	}
}

func TestThrottleEndsWithTime(t *testing.T) {
	var th throttle
	now := time.Unix(1_800_000_000, 0)
	for range WrongKeys {
		if th.wrong("a", now) != 0 {
			t.Fatal("throttled too early")
		}
	}
	wait := th.wrong("a", now)
	if wait <= 0 || wait > wrongEvery {
		t.Fatalf("wait %v", wait)
	}
	if th.wrong("a", now.Add(wait-time.Millisecond)) == 0 {
		t.Error("throttled too short")
	}
	if th.wrong("a", now.Add(wait+time.Millisecond)) != 0 {
		t.Error("throttled too long")
	}
}

func TestThrottleIsBounded(t *testing.T) {
	var th throttle
	now := time.Unix(1_800_000_000, 0)
	for i := range 5 * maxAddresses {
		from := fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)
		th.wrong(from, now)
		th.wrong("192.0.2.1:1", now) // one that keeps asking is not forgotten
		if n := len(th.recent) + len(th.older); n > 2*maxAddresses {
			t.Fatalf("%d addresses after %d", n, i)
		}
	}
	if th.wrong("192.0.2.1:1", now) == 0 {
		t.Error("the address that kept asking was forgotten")
	}
}
