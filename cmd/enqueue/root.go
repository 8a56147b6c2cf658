package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/version"
)

// app is what all subcommands share.
type app struct {
	getenv   func(string) string
	in       io.Reader
	out, err io.Writer
}

const rootHelp = `enqueue enables modules on wolkvox contact centres, for many operations at once. You
give it a file with a server and a token in each row. It tells what became of every row,
and lets you try again what failed.`

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
REDIS_URL (or REDIS_URL_FILE). call, bulk, schedule add, quota sync and rekey also need
HABILITA_KEYS (or HABILITA_KEYS_FILE); "enqueue keygen" makes a key.

Exit status: 0 all well; 1 it failed; 2 wrong usage or settings; 3 it worked, but rows
were rejected, with --wait or run a call did not succeed, or with --canary the batch holds.
`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "enqueue",
		Short:         "Give calls to habilita, follow them, and act on those that were given up",
		Long:          rootHelp,
		Example:       rootExamples,
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		// Without these two, cobra would take an unknown command for help.
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usagef("there is no command %q%s", args[0], suggestion(cmd, args[0]))
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(a.err)
			_ = cmd.Help()
			return errHelpShown
		},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%v (%s --help shows the flags)", err, cmd.CommandPath())
	})
	root.SetUsageFunc(usage)
	config.Bind(root.PersistentFlags(), config.Redis)
	root.AddGroup(
		&cobra.Group{ID: groupGive, Title: "Give calls:"},
		&cobra.Group{ID: groupSee, Title: "See what became of them:"},
		&cobra.Group{ID: groupAct, Title: "Act on what was given up:"},
		&cobra.Group{ID: groupKeys, Title: "Keys:"},
	)
	root.AddCommand(
		a.call(), a.bulk(), a.schedule(), a.runLocal(),
		a.statusCmd(), a.watch(), a.report(), a.batches(), a.show(), a.chains(), a.tokenID(), a.quota(), a.servers(), a.webhooks(),
		a.retry(), a.skip(), a.cancel(), a.reopen(),
		a.keygen(), a.rekey(),
	)
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" { // cobra's own would take an unknown shell for help
			c.Args = exactly(1, "a shell")
			c.RunE = func(_ *cobra.Command, args []string) error {
				return usagef("there is no completion for %q: bash, fish, powershell and zsh have one", args[0])
			}
		}
	}
	return root
}

// helpCommand is cobra's, but that an unknown command is wrong usage.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:               "help [COMMAND]",
		Short:             "Help of a command",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				name := strings.Join(args, " ")
				if len(rest) > 0 {
					return usagef("there is no command %q%s", name, suggestion(cmd, rest[0]))
				}
				return usagef("there is no command %q%s", name, suggestion(root, args[0]))
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

const (
	groupGive = "give"
	groupSee  = "see"
	groupAct  = "act"
	groupKeys = "keys"
)

func suggestion(cmd *cobra.Command, arg string) string {
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if near := cmd.SuggestionsFor(arg); len(near) > 0 {
		return "; is " + strings.Join(near, " or ") + " meant?"
	}
	return "; enqueue --help lists them"
}

// noArgs, exactly and the like are cobra's, with our exit status.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return usagef("%s needs %s: %s", cmd.CommandPath(), what, cmd.UseLine())
		case len(args) > n && n == 0:
			return usagef("%s takes no argument", cmd.CommandPath())
		case len(args) > n:
			return usagef("%s takes %s and nothing more: %s", cmd.CommandPath(), what, cmd.UseLine())
		}
		return nil
	}
}

func noArgs() cobra.PositionalArgs { return exactly(0, "no argument") }
