// Package openapi_test checks the HTTP API against its OpenAPI document, with a validator
// and with clients: generated ones, and the examples that people copy.
package openapi_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"habilita/e2e"
	"habilita/internal/web/api/apitest"
	"habilita/internal/web/guard"
)

// apiDir is the package of the API, with its document.
func apiDir(t testing.TB) string {
	t.Helper()
	root, err := e2e.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "internal", "web", "api")
}

func loadDocument(t testing.TB) validator.Validator {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(apiDir(t), "openapi.yaml"))
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

func TestDocumentIsValid(t *testing.T) {
	if ok, errs := loadDocument(t).ValidateDocument(); !ok {
		for _, e := range errs {
			t.Errorf("%s: %s %v", e.Message, e.Reason, e.SchemaValidationErrors)
		}
	}
}

// The document allows every request that the API's own tests send, and every answer that they
// get.
func TestExchangesAreOfTheDocument(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "exchanges.jsonl")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", ".")
	cmd.Dir = apiDir(t)
	cmd.Env = append(os.Environ(), apitest.KeepEnv+"="+kept)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.Open(kept)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	document := loadDocument(t)
	lines := bufio.NewReader(f)
	held := 0
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var x apitest.Exchange
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatal(err)
		}
		if hold(t, document, x) {
			held++
		}
	}
	if held < 150 {
		t.Errorf("only %d exchanges were held against the document", held)
	}
}

// hold checks an exchange against the document. If a request was refused, the document need not
// allow it. hold reports whether it checked the exchange.
func hold(t *testing.T, document validator.Validator, x apitest.Exchange) bool {
	t.Helper()
	if x.Status == http.StatusNotFound || x.Status == http.StatusMethodNotAllowed || x.Method == http.MethodHead {
		return false // perhaps there is no such operation
	}
	request := func(body io.Reader) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), x.Method, x.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = x.Header.Clone()
		return r
	}
	if x.Status < 400 {
		var body io.Reader = bytes.NewReader(x.Body)
		if x.Header.Get("Content-Encoding") != "" { // which the validator does not read
			body = guard.Gunzip(body)
		}
		r := request(body)
		r.Header.Del("Content-Encoding")
		if strings.Contains(r.Header.Get("Content-Type"), "ndjson") {
			r.Header.Set("Content-Type", "text/csv") // the validator takes every line for a second body
		}
		if ok, errs := document.ValidateHttpRequestSync(r); !ok {
			for _, e := range errs {
				t.Errorf("%s: %s %s: the document has no such request: %s: %s %v", x.Test, x.Method, x.URL, e.Message, e.Reason, e.SchemaValidationErrors)
			}
		}
	}
	r := request(bytes.NewReader(x.Body))
	res := &http.Response{StatusCode: x.Status, Header: x.AnswerHeader, Body: io.NopCloser(bytes.NewReader(x.Answer)), Request: r}
	if ok, errs := document.ValidateHttpResponse(r, res); !ok {
		for _, e := range errs {
			t.Errorf("%s: %s %s: the document has no such answer: %s: %s %v\n%s", x.Test, x.Method, x.URL, e.Message, e.Reason, e.SchemaValidationErrors, x.Answer)
		}
	}
	return true
}
