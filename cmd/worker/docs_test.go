package main

import (
	"io"
	"testing"

	"github.com/spf13/cobra"

	"habilita/internal/testkit/docstest"
)

// TestDocsCommands shows that a page does not show a command, a flag or arguments that worker does not have.
func TestDocsCommands(t *testing.T) {
	docstest.Commands(t, "worker", "../..", func() *cobra.Command {
		return rootCommand(env{getenv: func(string) string { return "" }, out: io.Discard, err: io.Discard})
	})
}
