package api_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"io"
	"net/http"
	"strings"
	"testing"

	"habilita/internal/web/api"
)

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.String()
}

func TestBodiesInGzip(t *testing.T) {
	w := newWorld(t)
	csv := []string{"Content-Type", "text/csv", "Content-Encoding", "gzip"}
	var s summary
	w.ask("POST", "/v1/batches?batch=b", zipped(rows(300)), csv...).want(t, 202, &s)
	if s.Rows != 300 || s.Enqueued != 300 {
		t.Errorf("%+v", s)
	}
	line := zipped(`{"server":"1","token":"t1","id":"a"}`)
	w.ask("POST", "/v1/batches?batch=lines", line, "Content-Type", "application/x-ndjson", "Content-Encoding", "X-GZIP").want(t, 202, &s)
	if s.Enqueued != 1 {
		t.Errorf("%+v", s)
	}
	var got receipt
	w.postJSON("/v1/calls", zipped(body(`, "id": "zipped"`)), "Content-Encoding", "gzip").want(t, 202, &got)
	if got.ID != "zipped" {
		t.Errorf("%+v", got)
	}

	whole := zipped(rows(300))
	for name, c := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"cut":        {whole[:len(whole)-4], 400, "ends too early"},
		"plain":      {rows(3), 400, "the body is not gzip"},
		"nothing":    {"", 400, "the body is not gzip"},
		"compressed": {zipped(whole), 422, ""}, // twice
	} {
		t.Run(name, func(t *testing.T) {
			w.ask("POST", "/v1/batches?batch=c", c.body, csv...).want(t, c.status, nil).says(t, c.says)
		})
	}
	w.postJSON("/v1/calls", "{}", "Content-Encoding", "gzip").want(t, 400, nil).says(t, "the body is not gzip")
}

// A small body that unpacks to more than a body may have is refused like a large body.
func TestGzipBombs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	csv := []string{"Content-Type", "text/csv", "Content-Encoding", "gzip"}
	bomb := zipped("server,token\n" + strings.Repeat("\n", 1<<21))
	if len(bomb) > 1<<14 {
		t.Fatalf("no bomb: %d bytes", len(bomb))
	}
	w.ask("POST", "/v1/batches?batch=b", bomb, csv...).want(t, 413, nil).says(t, "at most 1048576 bytes")
	w.ask("POST", "/v1/batches?batch=c", zipped(rows(80_000)), csv...).want(t, 413, nil).says(t, "rows before it are enqueued")
	w.postJSON("/v1/calls", zipped(body(`, "ref": "`+strings.Repeat("x", api.MaxCall)+`"`)), "Content-Encoding", "gzip").want(t, 413, nil)
	// So is one that unpacks to nothing at all, at any length.
	w.ask("POST", "/v1/batches?batch=d", strings.Repeat(zipped(""), 1<<17), csv...).want(t, 400, nil)
}

func TestAnswersInGzip(t *testing.T) {
	w := newWorld(t)
	w.postCSV("/v1/batches?batch=b", rows(300)).want(t, 202, nil)
	for _, path := range []string{"/v1/batches/b/calls?limit=300", "/v1/batches/b/calls.csv", "/v1/openapi.json"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + anasKey}, "Accept-Encoding": {"gzip"}}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.Header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: %v", path, res.Header)
		}
		z, err := gzip.NewReader(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil || len(text) < 5000 {
			t.Errorf("%s: %v, %d bytes", path, err, len(text))
		}
		if strings.HasSuffix(path, ".csv") {
			if records, err := csv.NewReader(bytes.NewReader(text)).ReadAll(); err != nil || len(records) != 301 {
				t.Errorf("%d records, %v", len(records), err)
			}
		}
	}
}
