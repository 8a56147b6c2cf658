package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"habilita/e2e"
	"habilita/internal/testkit/redistest"
)

const (
	docsFile   = "docs/faults.md"
	tableBegin = "<!-- the tables of full doses: go run -C e2e ./chaos -write -->\n"
	tableEnd   = "<!-- the end of the table -->\n"
)

// writeDocs puts the table of a run into docs/faults.md. A table of all rows replaces what is there; a table
// of some rows follows it.
func writeDocs(s settings, report []*row, began time.Time) error {
	root, err := e2e.Root()
	if err != nil {
		return err
	}
	name := filepath.Join(root, docsFile)
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var table bytes.Buffer
	_, _ = fmt.Fprintf(&table, "%s: seed %d, %d rows in %s, %d labs side by side, %d processors, %s, %s.\n\n",
		began.UTC().Format(time.DateOnly), s.seed, len(report), time.Since(began).Round(time.Second), s.parallel,
		runtime.NumCPU(), runtime.Version(), redisVersion())
	printTable(&table, report)
	text, err := withTable(string(old), table.String(), s.some, report)
	if err != nil {
		return fmt.Errorf("%s: %w", docsFile, err)
	}
	return os.WriteFile(name, []byte(text), 0o644)
}

// withTable replaces the tables of a text by a table. If it has only some rows, withTable appends it instead,
// and removes these rows from the other tables.
func withTable(text, table string, some bool, rows []*row) (string, error) {
	before, rest, ok := strings.Cut(text, tableBegin)
	there, after, ended := strings.Cut(rest, tableEnd)
	if !ok || !ended {
		return "", fmt.Errorf("it lacks the line %q or %q", strings.TrimSpace(tableBegin), strings.TrimSpace(tableEnd))
	}
	if some {
		var kept []string
		for _, line := range strings.Split(strings.TrimSpace(there), "\n") {
			if !slices.ContainsFunc(rows, func(r *row) bool {
				name, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), "  ")
				return strings.HasPrefix(line, "| "+r.name+" |") || name == r.name || strings.HasPrefix(line, "- "+r.name+": ")
			}) {
				kept = append(kept, line)
			}
		}
		table = strings.Join(kept, "\n") + "\n\n" + table
	}
	return before + tableBegin + "\n" + table + "\n" + tableEnd + after, nil
}

// redisVersion returns the name and version of the tests' Redis server.
func redisVersion() string {
	name := filepath.Base(redistest.Program())
	out, err := exec.Command(redistest.Program(), "--version").Output()
	for field := range strings.FieldsSeq(string(out)) {
		if version, ok := strings.CutPrefix(field, "v="); ok && err == nil {
			return name + " " + version
		}
	}
	return name + " of an unknown version"
}
