package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"habilita/internal/control"
	"habilita/internal/web/api"
)

var update = flag.Bool("update", false, "write openapi.json anew from openapi.yaml")

func readDocument() ([]byte, error) { return os.ReadFile("openapi.yaml") }

func parsedDocument(t *testing.T) (doc any) {
	t.Helper()
	text, err := readDocument()
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestDocumentInJSONIsThatInYAML(t *testing.T) {
	doc := parsedDocument(t)
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
		t.Error("openapi.json is not made of this openapi.yaml: go test ./internal/web/api -run Document -update")
	}
}

// A comma in a text without quotes ends it there: YAML takes the rest for a name without a value.
func TestNoTextOfTheDocumentIsCut(t *testing.T) {
	doc := parsedDocument(t)
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, in := range v {
				if in == nil {
					t.Errorf("%s: %q has no value", at, name)
				}
				walk(at+"/"+name, in)
			}
		case []any:
			for _, in := range v {
				walk(at, in)
			}
		}
	}
	walk("", doc)
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
	served := api.New(api.Options{Control: &control.Control{}}).Operations()
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

// Generators make a type of every component, whatever its section, and of what has no name
// of its own: an enum or an object within a schema, an operation's parameters, bodies and
// answers. For some of them, names that differ only in case are one file.
func TestNamesOfGeneratedTypesDiffer(t *testing.T) {
	text, err := readDocument()
	if err != nil {
		t.Fatal(err)
	}
	type schema struct {
		Title      string
		Enum       []string
		Properties map[string]any
		Items      *struct{ Properties map[string]any }
	}
	var doc struct {
		Paths      map[string]map[string]yaml.Node
		Components map[string]yaml.Node
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	from := map[string]string{}
	add := func(name, where string) {
		t.Helper()
		key := strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
		if other := from[key]; other != "" {
			t.Errorf("%s (%s) is a name that %s has too", name, where, other)
		}
		from[key] = where
	}
	within := func(name, where string, properties map[string]yaml.Node) {
		for property, node := range properties {
			var s schema
			if err := node.Decode(&s); err != nil {
				t.Fatal(err)
			}
			if len(s.Enum) > 0 || s.Properties != nil || s.Items != nil && s.Items.Properties != nil {
				add(name+property, where+"."+property)
			}
			if s.Title != "" {
				add(s.Title, where+"."+property)
			}
		}
	}
	for section, node := range doc.Components {
		var named map[string]struct {
			Title      string
			Properties map[string]yaml.Node
		}
		if section == "securitySchemes" {
			continue
		}
		if err := node.Decode(&named); err != nil {
			t.Fatal(err)
		}
		for name, c := range named {
			where := section + "/" + name
			add(name, where)
			if c.Title != "" {
				add(c.Title, where)
			}
			within(name, where, c.Properties)
		}
	}
	for path, item := range doc.Paths {
		for method, node := range item {
			if method == "parameters" {
				continue
			}
			var op struct {
				OperationID string `yaml:"operationId"`
				Parameters  []struct {
					Name   string
					Schema schema
				}
			}
			if err := node.Decode(&op); err != nil || op.OperationID == "" {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			for _, suffix := range []string{"", "Params", "Request", "RequestBody", "JSONRequestBody", "Response", "Responses"} {
				add(op.OperationID+suffix, method+" "+path)
			}
			for _, p := range op.Parameters {
				if len(p.Schema.Enum) > 0 {
					add(op.OperationID+"Params"+p.Name, method+" "+path+" "+p.Name)
				}
			}
		}
	}
	if len(from) < 150 {
		t.Errorf("only %d names were found", len(from))
	}
}
