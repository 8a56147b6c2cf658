package main

import (
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const module = "habilita"

// imports are the packages of a module, by their folder, with what they import outside of tests.
func imports(root string) (map[string][]string, error) {
	of := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if path != root {
			_, err := os.Stat(filepath.Join(path, "go.mod")) // another module's
			if err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return fs.SkipDir
			}
		}
		p, err := build.ImportDir(path, 0)
		if none := new(build.NoGoError); errors.As(err, &none) {
			return nil
		}
		dir, relErr := filepath.Rel(root, path)
		of[filepath.ToSlash(dir)] = p.Imports
		return errors.Join(err, relErr)
	})
	return of, err
}

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
