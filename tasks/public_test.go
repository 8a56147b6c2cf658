package tasks_test

import (
	"bytes"
	"flag"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"habilita/internal/testkit/redistest"
)

var update = flag.Bool("update", false, "write the golden files of go doc")

// public are the packages that programs import.
var public = []string{"tasks", "tasks/taskstest", "quota"}

// What importers see changes only on purpose: go test ./tasks -run GoDoc -update
func TestGoDocIsTheGoldenFile(t *testing.T) {
	for _, pkg := range public {
		var text []byte
		for _, how := range [][]string{{"doc"}, {"doc", "-all"}} {
			out := goCommand(t, "..", nil, append(how, "./"+pkg)...)
			// The first line has the module's name, which may be another.
			_, out, _ = strings.Cut(out, "\n")
			text = append(text, strings.Join(append([]string{"$ go"}, how...), " ")+" ./"+pkg+"\n"+out+"\n"...)
			if lines := strings.Count(out, "\n"); len(how) == 1 && lines > screen {
				t.Errorf("go doc ./%s has %d lines, and a screen %d", pkg, lines, screen)
			}
		}
		file := filepath.Join("..", filepath.FromSlash(pkg), "testdata", "godoc.txt")
		if *update {
			if err := errorsOf(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, text, 0o644)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		have, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(have, text) {
			t.Errorf("go doc ./%s is not %s (%v): go test ./tasks -run GoDoc -update", pkg, file, err)
		}
	}
}

// screen is how many lines of go doc are read at a glance.
const screen = 80

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Nothing exported names a type of a package that can't be imported, and all of it is commented.
func TestExportedNamesCanBeUsed(t *testing.T) {
	for _, pkg := range public {
		files := token.NewFileSet()
		dir, err := os.ReadDir(filepath.Join("..", pkg))
		if err != nil {
			t.Fatal(err)
		}
		var parsed []*ast.File
		hidden := map[string]bool{} // names of imported packages that are internal
		for _, f := range dir {
			if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
				continue
			}
			file, err := parser.ParseFile(files, filepath.Join("..", pkg, f.Name()), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range file.Imports {
				path := strings.Trim(i.Path.Value, `"`)
				if name := path[strings.LastIndex(path, "/")+1:]; strings.Contains(path, "/internal/") {
					if i.Name != nil {
						name = i.Name.Name
					}
					hidden[name] = true
				}
			}
			parsed = append(parsed, file)
		}
		p, err := doc.NewFromFiles(files, parsed, pkg) // keeps what is exported alone
		if err != nil {
			t.Fatal(err)
		}
		uses := func(what string, comment string, n ast.Node) {
			if comment == "" {
				t.Errorf("%s: %s has no comment", pkg, what)
			}
			ast.Inspect(n, func(n ast.Node) bool {
				if f, ok := n.(*ast.FuncDecl); ok {
					f.Body = nil
				}
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && hidden[x.Name] {
						t.Errorf("%s: %s names %s.%s, which nobody can import", pkg, what, x.Name, s.Sel.Name)
					}
				}
				return true
			})
		}
		for _, t := range p.Types {
			uses(t.Name, t.Doc, t.Decl)
			for _, f := range append(t.Funcs, t.Methods...) {
				uses(f.Name, f.Doc, f.Decl)
			}
			for _, v := range append(t.Consts, t.Vars...) {
				uses(v.Names[0], v.Doc, v.Decl)
			}
		}
		for _, f := range p.Funcs {
			uses(f.Name, f.Doc, f.Decl)
		}
		for _, v := range append(p.Consts, p.Vars...) {
			uses(v.Names[0], v.Doc, v.Decl)
		}
	}
}

// A module of its own that imports the packages, by replace, builds and runs, and compiles and
// requires no tool of tests.
func TestOutsideModule(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, from := range map[string]string{"go.sum": "../go.sum", "main.go": "testdata/outside/main.go"} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(name, text)
	}
	module := strings.TrimSpace(goCommand(t, "..", nil, "list", "-m"))
	write("go.mod", []byte("module outside\n\ngo 1.26.0\n\nrequire "+module+" v0.0.0\n\nreplace "+module+" => "+root+"\n"))
	env := []string{"GOFLAGS=-mod=mod", "GOWORK=off"}
	goCommand(t, dir, env, "build", "-o", "outside", ".")

	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "outside"), redistest.Mini(t).Addr())
	cmd.Env = append(os.Environ(), "HABILITA_KEYS="+keys)
	out, err := cmd.CombinedOutput()
	want := "false 1\ntrue 1\norder-1001 cancelled  <nil>\ncancelled\n1 5000\n"
	if err != nil || string(out) != want {
		t.Errorf("it says %s (%v), not %s", out, err, want)
	}

	tools := []string{"miniredis", "gopher-lua", "rapid", "go-internal", "chromedp", "asynqmon", "goleak", "cobra", "testkit", "taskstest", "testing"}
	required, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	compiled := goCommand(t, dir, env, "list", "-deps", ".")
	for what, text := range map[string]string{"requires": string(required), "compiles": compiled} {
		for line := range strings.Lines(text) {
			path := strings.TrimSpace(line)
			if what == "requires" {
				path, _, _ = strings.Cut(path, " ")
			}
			if slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool { return slices.Contains(tools, part) }) {
				t.Errorf("it %s %s", what, path)
			}
		}
	}
	t.Logf("go.mod:\n%s", required)
}

// What the package's documentation shows stands in a program that builds and runs.
func TestDocumentationIsOfAProgramThatRuns(t *testing.T) {
	program, err := os.ReadFile("testdata/outside/main.go")
	if err != nil {
		t.Fatal(err)
	}
	text := goCommand(t, "..", nil, "doc", "./tasks")
	code := 0
	for line := range strings.Lines(text) {
		line, indented := strings.CutPrefix(line, "    ")
		if line = plain(line); !indented || line == "" {
			continue
		}
		if strings.HasPrefix(line, "func ") || strings.HasPrefix(line, "const ") {
			break
		}
		code++
		if !strings.Contains(plain(string(program)), line) {
			t.Errorf("no line of the program is %q", line)
		}
	}
	if code < 8 {
		t.Errorf("%d lines of use", code)
	}
}

// Each piece of Go in the guide stands in an example that runs.
func TestGuideIsOfExamplesThatRun(t *testing.T) {
	var examples string
	for _, file := range []string{"example_test.go", "../quota/example_test.go", "taskstest/taskstest_test.go", "testdata/outside/main.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		examples += plain(string(text)) + "\n"
	}
	guide, err := os.ReadFile("../docs/go.md")
	if err != nil {
		t.Fatal(err)
	}
	pieces := strings.Split(string(guide), "```go\n")[1:]
	for _, piece := range pieces {
		piece, _, _ = strings.Cut(piece, "```")
		if !strings.Contains(examples, plain(piece)) {
			t.Errorf("no example has\n%s", piece)
		}
	}
	if len(pieces) < 8 {
		t.Errorf("%d pieces", len(pieces))
	}
}

// plain is text with all white space alike.
func plain(s string) string { return strings.Join(strings.Fields(s), " ") }

func goCommand(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, said.Bytes())
	}
	return string(out)
}
