package main

import (
	"os"
	"strings"
	"testing"
)

const root = "../.."

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
