package main

import (
	"io"
	"testing"

	"habilita/internal/testkit/docstest"
)

// TestDocsCommands shows that no page or help text shows a command, a flag or arguments that enqueue does not have.
func TestDocsCommands(t *testing.T) {
	a := &app{getenv: func(string) string { return "" }, out: io.Discard, err: io.Discard}
	docstest.Commands(t, "enqueue", "../..", a.root)
	docstest.Examples(t, a.root)
}
