package main

import (
	"io"
	"testing"

	"github.com/spf13/cobra"

	"habilita/internal/testkit/docstest"
)

// TestDocsCommands shows that no page or help text shows a command, a flag or arguments that worker does not have.
func TestDocsCommands(t *testing.T) {
	root := func() *cobra.Command {
		return rootCommand(env{getenv: func(string) string { return "" }, out: io.Discard, err: io.Discard})
	}
	docstest.Commands(t, "worker", "../..", root)
	docstest.Examples(t, root)
}
