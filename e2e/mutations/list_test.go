package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"habilita/e2e"
)

// The list can be applied as it stands, and its tests exist.
func TestListIsOfThisCheckout(t *testing.T) {
	root, err := e2e.Root()
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{}
	seen := map[string]bool{}
	for _, m := range all() {
		if m.Mechanism == "" || m.Change == "" || len(m.Edits) == 0 || seen[m.Mechanism+m.Change] {
			t.Errorf("%+v: a field is missing, or it stands twice", m)
		}
		seen[m.Mechanism+m.Change] = true
		if _, _, err := m.apply(root); err != nil {
			t.Errorf("%s: %v", m.Mechanism, err)
		}
		if sources[m.Package] == "" {
			files, _ := filepath.Glob(filepath.Join(root, m.Package, "*_test.go"))
			for _, f := range files {
				text, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				sources[m.Package] += string(text)
			}
		}
		top, _, _ := strings.Cut(m.Test, "/")
		if !strings.Contains(sources[m.Package], "func "+top+"(") {
			t.Errorf("%s: there is no %s in %s", m.Mechanism, top, m.Package)
		}
	}
}

func TestDocsAreOfThisList(t *testing.T) {
	root, err := e2e.Root()
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(filepath.Join(root, docsFile))
	if err != nil || string(have) != docsText() {
		t.Errorf("%s is not of this list (%v): go run -C e2e ./mutations -write", docsFile, err)
	}
}

func TestPackagesAreOfTwoModules(t *testing.T) {
	for pkg, want := range map[string][2]string{
		"./internal/engine": {".", "./internal/engine"}, "./e2e": {"e2e", "."}, "./e2e/browser": {"e2e", "./browser"}, "./e2extra": {".", "./e2extra"},
	} {
		if module, from := moduleOf(pkg); module != want[0] || from != want[1] {
			t.Errorf("%s: %s %s", pkg, module, from)
		}
	}
}

func TestEditWantsOnePlace(t *testing.T) {
	for text, good := range map[string]bool{"": false, "a b": true, "a a": false} {
		if _, err := (edit{"f", "a", "c"}).apply(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
