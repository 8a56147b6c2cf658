package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"habilita/internal/config"
)

// usage writes what cobra's template does, with the settings in a part of their own.
func usage(cmd *cobra.Command) error {
	w := cmd.OutOrStderr()
	fmt.Fprint(w, "Usage:\n")
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s COMMAND [flags]\n", cmd.CommandPath())
	} else {
		fmt.Fprintf(w, "  %s\n", cmd.UseLine())
	}
	if cmd.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", strings.TrimRight(cmd.Example, "\n"))
	}
	for _, g := range cmd.Groups() {
		fmt.Fprintf(w, "\n%s\n", g.Title)
		list(cmd, g.ID)
	}
	if cmd.HasAvailableSubCommands() {
		others := "Others"
		if len(cmd.Groups()) == 0 {
			others = "Commands"
		}
		fmt.Fprintf(w, "\n%s:\n", others)
		list(cmd, "")
	}
	own, settings := split(cmd)
	if own.HasAvailableFlags() {
		fmt.Fprintf(w, "\nFlags:\n%s", own.FlagUsagesWrapped(100))
	}
	if settings.HasAvailableFlags() {
		fmt.Fprintf(w, "\nSettings (a flag or the environment variable in brackets):\n%s", settings.FlagUsagesWrapped(100))
	}
	if !cmd.HasParent() {
		fmt.Fprint(w, rootNotes)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n%s COMMAND --help says more of a command.\n", cmd.CommandPath())
	}
	return nil
}

func list(cmd *cobra.Command, group string) {
	for _, c := range cmd.Commands() {
		if c.GroupID == group && (c.IsAvailableCommand() || c.Name() == "help") {
			fmt.Fprintf(cmd.OutOrStderr(), "  %-12s %s\n", c.Name(), c.Short)
		}
	}
}

// split tells a command's own flags from its settings.
func split(cmd *cobra.Command) (own, settings *pflag.FlagSet) {
	own, settings = pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	names := map[string]bool{}
	for _, row := range config.Describe() {
		names[strings.TrimPrefix(row.Flag, "--")] = true
	}
	add := func(f *pflag.Flag) {
		if names[f.Name] {
			settings.AddFlag(f)
		} else {
			own.AddFlag(f)
		}
	}
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return own, settings
}
