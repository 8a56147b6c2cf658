package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yuin/gopher-lua/parse"

	"habilita/e2e"
)

// A mutation that does not compile proves nothing. What it does to a package's own files is checked here, and not what
// that does to the tests beside them.
func TestMutationsCompile(t *testing.T) {
	root, err := e2e.Root()
	if err != nil {
		t.Fatal(err)
	}
	packages := listPackages(t, root)
	for _, m := range all() {
		_, texts, err := m.apply(root)
		if err != nil {
			continue // TestListIsOfThisCheckout says so
		}
		of := map[*listedPackage]bool{}
		for name, text := range texts {
			switch filepath.Ext(name) {
			case ".lua":
				if _, err := parse.Parse(strings.NewReader(text), name); err != nil {
					t.Errorf("%s: %s: %v", m.Mechanism, m.Change, err)
				}
			case ".go":
				if p := packages.at[filepath.Dir(name)]; p != nil {
					of[p] = true
				}
			}
		}
		for p := range of {
			if err := packages.check(p, texts); err != nil {
				t.Errorf("%s: %s: %v", m.Mechanism, m.Change, err)
			}
		}
	}
}

// listedPackage is what go list says of a package.
type listedPackage struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

// listed are the packages of both modules and all that they import.
type listed struct {
	at     map[string]*listedPackage // by folder
	files  *token.FileSet
	parsed map[string]*ast.File // files without a mutation
	types  types.Importer
}

func listPackages(t *testing.T, root string) *listed {
	l := &listed{at: map[string]*listedPackage{}, files: token.NewFileSet(), parsed: map[string]*ast.File{}}
	export := map[string]string{}
	for _, module := range []string{".", "e2e"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles", "./...")
		cmd.Dir = filepath.Join(root, module)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for d := json.NewDecoder(strings.NewReader(string(out))); ; {
			p := new(listedPackage)
			if err := d.Decode(p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			l.at[p.Dir], export[p.ImportPath] = p, p.Export
		}
	}
	l.types = importer.ForCompiler(l.files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(export[path]) })
	return l
}

// check says what the compiler would say of a package with some other texts.
func (l *listed) check(p *listedPackage, texts map[string]string) error {
	var files []*ast.File
	for _, name := range p.GoFiles {
		name = filepath.Join(p.Dir, name)
		file := l.parsed[name]
		if text, mutated := texts[name]; mutated {
			var err error
			if file, err = parser.ParseFile(l.files, name, text, parser.SkipObjectResolution); err != nil {
				return err
			}
		} else if file == nil {
			var err error
			if file, err = parser.ParseFile(l.files, name, nil, parser.SkipObjectResolution); err != nil {
				return err
			}
			l.parsed[name] = file
		}
		files = append(files, file)
	}
	_, err := (&types.Config{Importer: l.types}).Check(p.ImportPath, l.files, files, nil)
	return err
}
