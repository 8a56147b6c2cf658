package main

import (
	"io"
	"testing"

	"github.com/spf13/cobra"

	"habilita/internal/testkit/docstest"
)

// TestDocsCommands shows that a page does not show a command, a flag or arguments that enqueue does not have.
func TestDocsCommands(t *testing.T) {
	docstest.Commands(t, "enqueue", "../..", func() *cobra.Command {
		a := &app{getenv: func(string) string { return "" }, out: io.Discard, err: io.Discard}
		return a.root()
	})
}
