// Package version says which build a command is.
package version

import (
	"cmp"
	"runtime/debug"
	"strings"
)

// commit and date are set by the linker (see the Makefile and the Dockerfile).
var commit, date string

// String is the module's version, the commit and when it was built, such as
// "v1.4.0 (commit 1f2e3d, built 2026-11-29T12:00:00Z)". What the linker was not told is
// taken from what go build notes of the checkout: that knows when the commit was made, and
// not when it was built.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	return text(cmp.Or(info.Main.Version, "(devel)"), commit, date, settings)
}

// Short is the module's version and the beginning of the commit, such as "v1.4.0 1f2e3d4c5b6a".
func Short() string {
	whole, _, _ := strings.Cut(String(), ",")
	module, commit, _ := strings.Cut(whole, " (commit ")
	return module + " " + commit[:min(len(commit), 12)]
}

func text(module, commit, date string, settings map[string]string) string {
	commit = cmp.Or(commit, settings["vcs.revision"], "not known")
	if settings["vcs.modified"] == "true" {
		commit += " with changes"
	}
	when := "built at a time not known"
	switch made := settings["vcs.time"]; {
	case date != "":
		when = "built " + date
	case made != "":
		when = "committed " + made
	}
	return module + " (commit " + commit + ", " + when + ")"
}
