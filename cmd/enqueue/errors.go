package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/rows"
	"habilita/internal/wolkvox"
)

// Exit statuses.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitPartial = 3
)

// usageError is wrong usage: exit status 2.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// toldStatus is the exit status of a command that told already what it ended with.
type toldStatus int

func (s toldStatus) Error() string { return fmt.Sprintf("exit status %d, as was told", int(s)) }

const (
	// errPartial says that it worked, and that not everything succeeded.
	errPartial = toldStatus(exitPartial)
	// errTold says that it failed.
	errTold = toldStatus(exitFailed)
	// errUsageTold says that it was used wrongly.
	errUsageTold = toldStatus(exitUsage)
)

// status prints what there is to say of a command's error and returns the exit status.
func (a *app) status(err error) int {
	var told toldStatus
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &told):
		return int(told)
	}
	fmt.Fprintf(a.err, "enqueue: %v\n", explain(err))
	if wrongUsage(err) {
		return exitUsage
	}
	return exitFailed
}

func wrongUsage(err error) bool {
	var (
		usage     *usageError
		settings  *config.Error
		selection *control.SelectionError
		server    *wolkvox.ServerError
		call      *engine.CallError
		policy    *ledger.BatchPolicyError
		canary    *ledger.BatchCanaryError
		path      *engine.BatchPathError
	)
	return errors.As(err, &usage) || errors.As(err, &settings) || errors.As(err, &selection) ||
		errors.As(err, &server) || errors.As(err, &call) || errors.As(err, &policy) || errors.As(err, &canary) || errors.As(err, &path) || errors.Is(err, control.ErrChainID) || errors.Is(err, engine.ErrPart)
}

// explain puts a sentence with what to do next in the place of an error of Redis.
func explain(err error) error {
	var (
		file  *rows.FileError
		path  *fs.PathError
		reply redis.Error
		netw  net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case control.Unread(err) > 0:
		return errors.New(control.UnreadWords(err))
	case errors.As(err, &file) && file.BadText:
		return fmt.Errorf("%w: %s", err, badTextAdvice)
	case errors.As(err, &file), errors.As(err, &path), wrongUsage(err):
		return err
	case errors.As(err, &reply), errors.As(err, &netw), errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrClosed),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New(redisconn.Describe(err))
	}
	return err
}

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
		listCommands(cmd, g.ID)
	}
	if cmd.HasAvailableSubCommands() {
		others := "Others"
		if len(cmd.Groups()) == 0 {
			others = "Commands"
		}
		fmt.Fprintf(w, "\n%s:\n", others)
		listCommands(cmd, "")
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
		fmt.Fprintf(w, "\n%s COMMAND --help tells more about a command.\n", cmd.CommandPath())
	}
	return nil
}

func listCommands(cmd *cobra.Command, group string) {
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
