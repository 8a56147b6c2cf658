package guard_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"habilita/internal/web/guard"
)

const (
	writeKey = "w-0123456789abcdefghij"
	readKey  = "r-0123456789abcdefghij=="
)

func newGuard(t *testing.T, keys, listen string, log *bytes.Buffer) http.Handler {
	t.Helper()
	k, err := guard.ParseKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(k, listen, zerolog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	return g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := guard.From(r.Context())
		fmt.Fprintf(w, "%s %t", p.Name, p.CanWrite)
	}))
}

func ask(h http.Handler, method, host string, header ...string) *httptest.ResponseRecorder {
	return askFrom(h, "192.0.2.1:1234", method, host, header...)
}

func askFrom(h http.Handler, from, method, host string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://"+host+"/v1/calls", nil)
	r.RemoteAddr = from
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func basic(password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("anybody:"+password))
}

func TestKeys(t *testing.T) {
	var log bytes.Buffer
	h := newGuard(t, " ana:write:"+writeKey+" , board:read:"+readKey, "0.0.0.0:8080", &log)
	n := 0
	for name, c := range map[string]struct {
		method string
		auth   []string
		status int
		body   string
	}{
		"bearer":                {"POST", []string{"Bearer " + writeKey}, 200, "ana true"},
		"bearer in lower case":  {"POST", []string{"bearer " + writeKey}, 200, "ana true"},
		"basic":                 {"POST", []string{basic(writeKey)}, 200, "ana true"},
		"read":                  {"GET", []string{"Bearer " + readKey}, 200, "board false"},
		"head":                  {"HEAD", []string{"Bearer " + readKey}, 200, ""},
		"read that writes":      {"POST", []string{"Bearer " + readKey}, 403, "read-only"},
		"read that deletes":     {"DELETE", []string{basic(readKey)}, 403, "read-only"},
		"read with OPTIONS":     {"OPTIONS", []string{basic(readKey)}, 403, "read-only"},
		"none":                  {"GET", nil, 401, "send a key"},
		"wrong":                 {"GET", []string{"Bearer " + writeKey + "x"}, 401, "not one of"},
		"begin of a key":        {"GET", []string{"Bearer " + writeKey[:20]}, 401, "not one of"},
		"empty":                 {"GET", []string{"Bearer "}, 401, "not one of"},
		"name as key":           {"GET", []string{"Bearer ana"}, 401, "not one of"},
		"other scheme":          {"GET", []string{"Digest " + writeKey}, 401, "not one of"},
		"two headers":           {"GET", []string{"Bearer " + writeKey, "Bearer " + readKey}, 401, "not one of"},
		"two headers, basic":    {"GET", []string{basic(writeKey), "Bearer " + readKey}, 401, "send a key"},
		"huge":                  {"GET", []string{"Bearer " + strings.Repeat("x", 10_000)}, 401, "not one of"},
		"whole setting as key":  {"GET", []string{"Bearer ana:write:" + writeKey}, 401, "not one of"},
		"basic that is garbage": {"GET", []string{"Basic %%%"}, 401, "not one of"},
	} {
		t.Run(name, func(t *testing.T) {
			n++ // an address each, or they would be throttled
			var header []string
			for _, a := range c.auth {
				header = append(header, "Authorization", a)
			}
			w := askFrom(h, fmt.Sprintf("192.0.2.%d:1", n), c.method, "any.example", header...)
			if w.Code != c.status || c.method != "HEAD" && !strings.Contains(w.Body.String(), c.body) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if c.status == 401 && (w.Header().Get("WWW-Authenticate") != `Bearer realm="habilita"` ||
				w.Header().Get("Content-Type") != guard.ProblemType) {
				t.Errorf("headers %v", w.Header())
			}
		})
	}
	said := log.String()
	if lines := strings.Count(said, "a wrong API key"); lines < 1 || lines > 10 {
		t.Errorf("%d lines", lines)
	}
	if strings.Contains(said, writeKey[:20]) || strings.Contains(said, readKey) {
		t.Errorf("the log has a key: %s", said)
	}
}

func TestBrowsersAreAskedForAPassword(t *testing.T) {
	h := newGuard(t, "ana:write:"+writeKey, "0.0.0.0:8080", &bytes.Buffer{})
	w := ask(h, "GET", "any.example", "Accept", "text/html,application/xhtml+xml")
	challenges := strings.Join(w.Header().Values("WWW-Authenticate"), ", ")
	if w.Code != 401 || !strings.Contains(challenges, "Basic") || !strings.Contains(challenges, "Bearer") {
		t.Errorf("%d %s", w.Code, challenges)
	}
	if strings.Contains(w.Header().Get("Content-Type"), "json") {
		t.Error("a browser got JSON")
	}
}

// A browser sends a Basic password by itself, so a page of another site could use it.
func TestOtherSitesPagesChangeNothing(t *testing.T) {
	for name, h := range map[string]http.Handler{
		"keys": newGuard(t, "ana:write:"+writeKey, "0.0.0.0:8080", &bytes.Buffer{}),
		"open": newGuard(t, "", "127.0.0.1:8080", &bytes.Buffer{}),
	} {
		for _, c := range []struct {
			header []string
			status int
		}{
			{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
			{[]string{"Sec-Fetch-Site", "same-site"}, 403},
			{[]string{"Origin", "https://evil.example"}, 403},
			{[]string{"Origin", "null"}, 403},
			{[]string{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:8080"}, 200},
			{[]string{"Origin", "http://localhost:8080"}, 200},
			{nil, 200},
		} {
			w := ask(h, "POST", "localhost:8080", append(c.header, "Authorization", basic(writeKey))...)
			if w.Code != c.status {
				t.Errorf("%s, %v: got %d %s", name, c.header, w.Code, w.Body)
			}
		}
	}
}

func TestWithoutKeysThisMachineAlone(t *testing.T) {
	h := newGuard(t, "", "127.0.0.1:8080", &bytes.Buffer{})
	for host, status := range map[string]int{
		"localhost:8080": 200, "127.0.0.1:8080": 200, "127.0.0.1": 200, "127.8.9.1:1": 200, "[::1]:8080": 200, "LOCALHOST": 200,
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "10.0.0.1:8080": 421,
		"127.0.0.1.evil.example": 421, "0.0.0.0:8080": 421, "[::]:8080": 421,
	} {
		if w := ask(h, "GET", host); w.Code != status {
			t.Errorf("%s: got %d %s", host, w.Code, w.Body)
		}
	}
	if w := ask(h, "DELETE", "localhost"); w.Body.String() != "local true" {
		t.Errorf("got %s", w.Body)
	}
}

func TestAddressThatOthersReachNeedsAKey(t *testing.T) {
	key, _ := guard.ParseKeys("ana:write:" + writeKey)
	for listen, refused := range map[string]bool{
		"127.0.0.1:0": false, "localhost:80": false, "[::1]:80": false, "": false,
		"0.0.0.0:80": true, ":80": true, "[::]:80": true, "10.0.0.1:80": true, "worker-1:80": true,
	} {
		if _, err := guard.New(guard.Keys{}, listen, zerolog.Nop()); (err == guard.ErrNoKeys) != refused {
			t.Errorf("%q: %v", listen, err)
		}
		if _, err := guard.New(key, listen, zerolog.Nop()); err != nil {
			t.Errorf("%q: %v", listen, err)
		}
	}
}

func TestParseKeys(t *testing.T) {
	for text, want := range map[string]string{
		"ana":                          "three parts",
		"ana:write":                    "three parts",
		"a b:write:" + writeKey:        "name",
		":write:" + writeKey:           "name",
		"local:write:" + writeKey:      "local",
		"ana:admin:" + writeKey:        "neither",
		"ana:write:short":              "shorter",
		"ana:write:" + writeKey + "\"": "character",
		"ana:write:" + writeKey + ",ana:read:" + readKey: "name that an earlier",
		"ana:write:" + writeKey + ",bo:read:" + writeKey: "same as an earlier",
		",": "no key",
		strings.Repeat("x", 70) + ":read:" + readKey: "name",
		"ana:read:" + strings.Repeat("x", 600):       "longer",
	} {
		_, err := guard.ParseKeys(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		} else if strings.Contains(err.Error(), writeKey) || strings.Contains(err.Error(), readKey) {
			t.Errorf("the error has a key: %v", err)
		}
	}
	k, err := guard.ParseKeys("")
	if err != nil || len(k) != 0 {
		t.Errorf("%v %v", k, err)
	}
	k, err = guard.ParseKeys("ana:write:" + writeKey)
	if text := fmt.Sprintf("%v %+v %#v", k, k, k); err != nil || strings.Contains(text, writeKey) {
		t.Errorf("%s %v", text, err)
	}
}

func TestGenerateKey(t *testing.T) {
	a, err := guard.GenerateKey("ci", false)
	b, err2 := guard.GenerateKey("board", true)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	k, err := guard.ParseKeys(a + "\r\n" + b + "\n") // as two commands write them to a file
	if err != nil || len(k) != 2 || !strings.HasPrefix(a, "ci:write:") || !strings.HasPrefix(b, "board:read:") {
		t.Errorf("%s %s %v", a, b, err)
	}
	for _, name := range []string{"", "a:b", "a,b", "local", "ñ"} {
		if _, err := guard.GenerateKey(name, false); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}
