package guard_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"habilita/internal/web/guard"
)

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGunzip(t *testing.T) {
	text := strings.Repeat("0042,token,5\n", 10_000)
	whole := zipped(t, text)
	spoilt := bytes.Clone(whole)
	spoilt[len(spoilt)-6] ^= 1 // in its checksum
	broken := errors.New("the connection broke")
	for name, c := range map[string]struct {
		body io.Reader
		want error
	}{
		"whole":                   {bytes.NewReader(whole), nil},
		"one after another":       {io.MultiReader(bytes.NewReader(zipped(t, text[:100])), bytes.NewReader(zipped(t, text[100:]))), nil},
		"cut":                     {bytes.NewReader(whole[:len(whole)-3]), guard.ErrGzip},
		"cut in the header":       {bytes.NewReader(whole[:5]), guard.ErrGzip},
		"nothing":                 {strings.NewReader(""), guard.ErrGzip},
		"plain text":              {strings.NewReader(text), guard.ErrGzip},
		"spoilt":                  {bytes.NewReader(spoilt), guard.ErrGzip},
		"something behind":        {io.MultiReader(bytes.NewReader(whole), strings.NewReader("more")), guard.ErrGzip},
		"a connection that broke": {io.MultiReader(bytes.NewReader(whole[:50]), failing{broken}), broken},
		"one that broke at once":  {failing{broken}, broken},
	} {
		got, err := io.ReadAll(guard.Gunzip(c.body))
		if !errors.Is(err, c.want) || c.want == nil && string(got) != text {
			t.Errorf("%s: %v, %d bytes", name, err, len(got))
		}
		if errors.Is(err, io.EOF) {
			t.Errorf("%s: looks like the end: %v", name, err)
		}
		if c.want == broken && errors.Is(err, guard.ErrGzip) {
			t.Errorf("%s: is said to be a fault of the gzip: %v", name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestAnswersInGzip(t *testing.T) {
	long := strings.Repeat("id,server,state\n", 500)
	for name, c := range map[string]struct {
		method, accept, media, body string
		header                      []string
		status                      int
		want                        bool
	}{
		"JSON":                 {accept: "gzip", media: "application/json", body: long, want: true},
		"CSV":                  {accept: "br, GZIP;q=0.5", media: "text/csv; charset=utf-8", body: long, want: true},
		"a page, type not set": {accept: "gzip", body: "<!doctype html>" + long, want: true},
		"problem details":      {accept: "gzip", media: "application/problem+json", body: long, status: 422, want: true},
		"not asked for":        {media: "application/json", body: long},
		"refused":              {accept: "gzip;q=0", media: "application/json", body: long},
		"refused as 0.000":     {accept: "gzip; q=0.000", media: "application/json", body: long},
		"another coding":       {accept: "br", media: "application/json", body: long},
		"short":                {accept: "gzip", media: "application/json", body: "{}", want: true},
		"events":               {accept: "gzip", media: "text/event-stream", body: long},
		"a picture":            {accept: "gzip", media: "image/png", body: long},
		"compressed already":   {accept: "gzip", media: "text/plain", body: long, header: []string{"Content-Encoding", "br"}},
		"no content":           {accept: "gzip", status: 204},
		"a part":               {accept: "gzip", media: "text/plain", body: long, header: []string{"Content-Range", "bytes 0-7999/9000"}, status: 206},
		"HEAD":                 {method: "HEAD", accept: "gzip", media: "text/csv"},
	} {
		t.Run(name, func(t *testing.T) {
			h := guard.Gzip(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.media != "" {
					w.Header().Set("Content-Type", c.media)
				}
				for i := 0; i+1 < len(c.header); i += 2 {
					w.Header().Set(c.header[i], c.header[i+1])
				}
				if c.status != 0 {
					w.WriteHeader(c.status)
				}
				for part := range strings.Lines(c.body) {
					_, _ = io.WriteString(w, part)
				}
			}))
			method := c.method
			if method == "" {
				method = "GET"
			}
			r := httptest.NewRequest(method, "/", nil)
			if c.accept != "" {
				r.Header.Set("Accept-Encoding", c.accept)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			body := w.Body.String()
			if got := w.Header().Get("Content-Encoding") == "gzip"; got != c.want {
				t.Fatalf("%v", w.Header())
			}
			if c.want {
				b, err := io.ReadAll(guard.Gunzip(w.Body))
				if body = string(b); err != nil {
					t.Errorf("%v %v", err, w.Header())
				}
			}
			if body != c.body || w.Code != max(c.status, 200) || w.Header().Get("Vary") != "Accept-Encoding" {
				t.Errorf("%d %v, %d bytes", w.Code, w.Header(), len(body))
			}
		})
	}
}

// What is flushed arrives, and an answer that is cut off does not look whole.
func TestStreamInGzip(t *testing.T) {
	read := make(chan bool)
	h := guard.Gzip(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/csv")
		a := guard.Answer(w, r, time.Minute)
		_, _ = io.WriteString(a, "first\n")
		a.(http.Flusher).Flush()
		<-read
		_, _ = io.WriteString(a, "second\n")
		if r.URL.Path == "/cut" {
			panic(http.ErrAbortHandler)
		}
	}))
	s := httptest.NewServer(h)
	defer s.Close()
	for path, whole := range map[string]bool{"/": true, "/cut": false} {
		res, err := http.Get(s.URL + path) // its transport asks for gzip, and reads it
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 6)
		if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "first\n" || !res.Uncompressed {
			t.Errorf("%s: %q, %v, %v", path, first, err, res.Header)
		}
		read <- true
		rest, err := io.ReadAll(res.Body)
		res.Body.Close()
		if (err == nil) != whole || whole && string(rest) != "second\n" {
			t.Errorf("%s: %q, %v", path, rest, err)
		}
	}
}

// A proxy that speaks HTTP/1.0 passes a cut answer on as one that ended, but its gzip shows the cut.
func TestCutAnswerHasNoEndInGzip(t *testing.T) {
	h := guard.Gzip(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/csv")
		_, _ = io.WriteString(w, "first\n")
		panic(http.ErrAbortHandler)
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the server does not learn that the answer was cut")
			}
		}()
		h.ServeHTTP(w, r)
	}()
	if text, err := io.ReadAll(guard.Gunzip(w.Body)); !errors.Is(err, guard.ErrGzip) {
		t.Errorf("%q, %v", text, err)
	}
}
