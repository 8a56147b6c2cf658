package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const docsFile = "docs/mutations.md"

const docsHead = `# Mutations: what happens when a mechanism is taken out

Each row takes one mechanism out of a copy of the program and runs the test that is there
for it: without the mutation the test passes, with it the test fails. So no mechanism of
this list can be lost unnoticed, and none is there for show.

    make mutations                                  all of them
    go run -C e2e ./mutations -only fence -v      some, with what the test said
    go run -C e2e ./mutations -write              all of them, and this file

The list is e2e/mutations/list_*.go; a text to be replaced that is not found exactly
once, a mutation that does not compile and a test that was skipped are errors. Some
mechanisms have rows for more than one of their parts.

A script of Redis is atomic, so that the order of lines within it can't be seen from
outside. What "a result is recorded with, or before, its chain's advance" promises is
shown by leaving the record out while the chain goes on, as a crash between two steps would.
Scripts are embedded in the program; in the copy they are read from their files, so that a
mutation of one needs no build.
`

// docsText is the file as the list says it.
func docsText() string {
	var s strings.Builder
	s.WriteString(docsHead)
	fmt.Fprintf(&s, "\n| | mechanism | mutation | in | test that fails |\n| --: | --- | --- | --- | --- |\n")
	for i, m := range all() {
		var files []string
		for _, e := range m.Edits {
			if len(files) == 0 || files[len(files)-1] != e.File {
				files = append(files, e.File)
			}
		}
		fmt.Fprintf(&s, "| %d | %s | %s | %s | `%s` %s |\n", i+1, m.Mechanism, m.Change, strings.Join(files, ", "),
			m.Test, strings.TrimPrefix(m.Package, "./"))
	}
	return s.String()
}

func writeDocs(root string) error {
	name := filepath.Join(root, docsFile)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(docsText()), 0o644)
}
