package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// place is where an import may stand outside of tests.
type place struct {
	what  string   // the import path (of ours: the folder), and what lies under it
	where []string // folders, and what lies under them
}

var places = []place{
	{"github.com/hibiken/asynq", []string{"internal/engine", "cmd"}},
	{"github.com/alicebob/miniredis", []string{"internal/localrun/inproc", "internal/testkit", "internal/web/console/consoletest", "internal/web/api/apitest"}},
	{"internal/testkit/wolkvoxtest", []string{"internal/testkit", "cmd/worker", "internal/localrun", "internal/web/console/consoletest", "tasks/taskstest"}},
	{"testing", []string{"internal/testkit", "internal/web/console/consoletest", "internal/web/api/apitest", "tasks/taskstest"}},
}

// faults returns all that breaks the rules of the layers.
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
			if below, other := groupOf(i); other != group && below >= 0 && below <= at {
				say("%s (%s) imports %s (%s), which is not below it", dir, layers[at].name, i, layers[below].name)
			}
			for _, p := range places {
				if under(i, p.what) && !slices.ContainsFunc(p.where, func(g string) bool { return under(dir, g) }) {
					say("%s imports %s, whose place is in %s", dir, i, strings.Join(p.where, ", "))
				}
			}
		}
	}
	return found
}

func TestPackagesKeepToTheirLayers(t *testing.T) {
	of, err := imports()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults(of) {
		t.Error(f)
	}
}

func TestFaultsAreFound(t *testing.T) {
	of, err := imports()
	if err != nil {
		t.Fatal(err)
	}
	for dir, c := range map[string]struct{ added, want string }{
		"internal/quota":   {"internal/engine", "internal/quota (ground) imports internal/engine"},
		"internal/vault":   {"github.com/hibiken/asynq/x/metrics", "internal/vault imports github.com/hibiken/asynq/x/metrics"},
		"internal/version": {"github.com/alicebob/miniredis/v2", "whose place is in"},
		"internal/config":  {"testing", "internal/config imports testing"},
		"internal/new":     {"fmt", "internal/new stands in no layer"},
		"quota":            {"internal/testkit/wolkvoxtest", "whose place is in"},
	} {
		had, there := of[dir]
		of[dir] = append(had[:len(had):len(had)], c.added)
		if all := strings.Join(faults(of), "\n"); !strings.Contains(all, c.want) {
			t.Errorf("%s imports %s: not found in %q", dir, c.added, all)
		}
		if of[dir] = had; !there {
			delete(of, dir)
		}
	}
}

func TestPictureIsOfTheseImports(t *testing.T) {
	of, err := imports()
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(root + "/" + docsFile)
	if err != nil {
		t.Fatal(err)
	}
	want, err := withPicture(string(have), picture(of))
	if err != nil || string(have) != want {
		t.Errorf("%s has not the picture of these imports (%v): go run ./internal/layers -write", docsFile, err)
	}
}
