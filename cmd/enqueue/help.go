package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"habilita/internal/config"
)

const rootHelp = `enqueue enables modules on wolkvox contact centres, for many operations at once. You
give it a file with a server and a token in each row. It reports the result of every row,
and lets you retry what failed.`

const rootExamples = `  # operations.csv:  server,token,licenses,ref
  #                  0042,tok-...,5,Bogota north

  # a small job, all in this process: no Redis, no worker
  enqueue run operations.csv

  # a big one, made by workers that are running: check the file, then enqueue and follow it
  enqueue bulk operations.csv --dry-run
  enqueue bulk operations.csv --wait

  # what waits for you, why, and what to type next
  enqueue chains --held

  # every call with its result
  enqueue report operations > results.csv`

const rootNotes = `
Workers make the calls of call, bulk and schedule: run "worker" with the same Redis. "worker
demo" shows all of it with a simulated wolkvox. Every command but run and keygen needs
REDIS_URL (or REDIS_URL_FILE). call, bulk, schedule add, token-id, quota sync and rekey also
need HABILITA_KEYS (or HABILITA_KEYS_FILE); "enqueue keygen" makes a key.

Exit status: 0 all well; 1 it failed; 2 wrong usage or settings; 3 it worked, but rows
were left out, with --wait or run a call did not succeed, or with --canary the batch holds.
`

// usage writes what cobra's template does, with the settings in a part of their own.
func usage(cmd *cobra.Command) error {
	w := cmd.OutOrStderr()
	part := func(title, text string) {
		if text != "" {
			fmt.Fprintf(w, "\n%s\n%s\n", title, strings.TrimRight(text, "\n"))
		}
	}
	use, others := cmd.UseLine(), "Others:"
	if cmd.HasAvailableSubCommands() {
		use = cmd.CommandPath() + " COMMAND [flags]"
	}
	if len(cmd.Groups()) == 0 {
		others = "Commands:"
	}
	fmt.Fprintf(w, "Usage:\n  %s\n", use)
	part("Examples:", cmd.Example)
	for _, g := range cmd.Groups() {
		part(g.Title, commandsOf(cmd, g.ID))
	}
	part(others, commandsOf(cmd, ""))
	own, settings := split(cmd)
	part("Flags:", own.FlagUsagesWrapped(100))
	part("Settings (a flag or the environment variable in brackets):", settings.FlagUsagesWrapped(100))
	if !cmd.HasParent() {
		fmt.Fprint(w, rootNotes)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n%s COMMAND --help tells more about a command.\n", cmd.CommandPath())
	}
	return nil
}

func commandsOf(cmd *cobra.Command, group string) (text string) {
	for _, c := range cmd.Commands() {
		if c.GroupID == group && (c.IsAvailableCommand() || c.Name() == "help") {
			text += fmt.Sprintf("  %-12s %s\n", c.Name(), c.Short)
		}
	}
	return text
}

// split separates a command's own flags from its settings.
func split(cmd *cobra.Command) (own, settings *pflag.FlagSet) {
	own, settings = pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	add := func(f *pflag.Flag) {
		if config.IsSetting(f) {
			settings.AddFlag(f)
		} else {
			own.AddFlag(f)
		}
	}
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return own, settings
}
