package httpapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"habilita/internal/httpapi"
)

var update = flag.Bool("update", false, "write openapi.json anew from openapi.yaml")

func readDocument() ([]byte, error) { return os.ReadFile("openapi.yaml") }

func TestDocumentIsValid(t *testing.T) {
	if ok, errs := loadDocument(t).ValidateDocument(); !ok {
		for _, e := range errs {
			t.Errorf("%s: %s %v", e.Message, e.Reason, e.SchemaValidationErrors)
		}
	}
}

func TestDocumentInJSONIsThatInYAML(t *testing.T) {
	text, err := readDocument()
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(doc); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want.Bytes()) {
		t.Error("openapi.json is not made of this openapi.yaml: go test ./internal/httpapi -run Document -update")
	}
}

// Every operation of the document has a handler, and every handler an operation.
func TestEveryOperationIsServedAndDescribed(t *testing.T) {
	text, err := readDocument()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var described []string
	for path, item := range doc.Paths {
		for method := range item {
			if method != "parameters" {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	served := httpapi.New(httpapi.Options{}).Operations()
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described:\n%s\n\nserved:\n%s", strings.Join(described, "\n"), strings.Join(served, "\n"))
	}
}

func TestDocumentIsServed(t *testing.T) {
	w := newWorld(t)
	var doc struct{ OpenAPI string }
	w.get("/v1/openapi.json").want(t, 200, &doc)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("%+v", doc)
	}
	r := w.get("/v1/openapi.yaml").want(t, 200, nil)
	if !strings.HasPrefix(r.body, "openapi: 3.1.0\n") || r.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("%v", r.header)
	}
}
