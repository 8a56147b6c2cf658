package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const module = "habilita"

// imports are the packages of a module, by their folder, with what they import outside of
// tests, whatever the system that they are built for.
func imports(root string) (map[string][]string, error) {
	all, names := map[string]map[string]bool{}, map[string]string{}
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || exists(filepath.Join(root, name, "go.mod"))) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if all[dir] == nil {
			all[dir], names[dir] = map[string]bool{}, f.Name.Name
		}
		if f.Name.Name != names[dir] { // the compiler sees the files of one system alone
			return fmt.Errorf("%s is of package %s, and its folder has package %s", name, f.Name.Name, names[dir])
		}
		for _, i := range f.Imports {
			text, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			all[dir][text] = true
		}
		return nil
	})
	sorted := map[string][]string{}
	for dir, of := range all {
		sorted[dir] = slices.Sorted(maps.Keys(of))
	}
	return sorted, err
}

func exists(name string) bool { _, err := os.Stat(name); return err == nil }

// ours is the folder of a package of the module.
func ours(importPath string) (dir string, ok bool) { return strings.CutPrefix(importPath, module+"/") }

// under reports whether a path is the given one or lies under it.
func under(name, top string) bool { return name == top || strings.HasPrefix(name, top+"/") }

// groupOf is the layer, from the top, and the group of a package. A layer below 0: none.
func groupOf(dir string) (at int, group string) {
	at = -1
	for i, l := range layers {
		for _, g := range l.groups {
			if under(dir, g) && len(g) > len(group) {
				at, group = i, g
			}
		}
	}
	return at, group
}

// faults are all that breaks the rules of the layers.
func faults(of map[string][]string) []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for _, dir := range slices.Sorted(maps.Keys(of)) {
		at, group := groupOf(dir)
		if at < 0 {
			say("%s stands in no layer of internal/layers", dir)
			continue
		}
		for _, i := range of[dir] {
			if to, ok := ours(i); ok {
				if below, other := groupOf(to); other != group && below >= 0 && below <= at {
					say("%s (%s) imports %s (%s), which is not below it", dir, layers[at].name, to, layers[below].name)
				}
			}
			for _, p := range places {
				if under(i, p.what) && !slices.ContainsFunc(p.where, func(g string) bool { return under(dir, g) }) {
					say("%s imports %s, whose place is in %s", dir, i, strings.Join(p.where, ", "))
				}
			}
		}
	}
	for _, top := range public {
		come := map[string]bool{}
		follow(of, top, come)
		for _, i := range slices.Sorted(maps.Keys(come)) {
			for _, not := range forTests {
				if under(i, not) {
					say("%s comes with %s", i, top)
				}
			}
		}
	}
	return found
}

// follow adds to seen what a package of ours imports, also by way of others of ours.
func follow(of map[string][]string, dir string, seen map[string]bool) {
	for _, i := range of[dir] {
		if !seen[i] {
			seen[i] = true
			if to, ok := ours(i); ok {
				follow(of, to, seen)
			}
		}
	}
}
