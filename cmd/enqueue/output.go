package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/rows"
	"habilita/internal/say"
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

// toldStatus is the exit status of a command that has already said how it ended.
type toldStatus int

func (s toldStatus) Error() string { return fmt.Sprintf("exit status %d, as was told", int(s)) }

const (
	// errPartial says that the command worked, but not everything succeeded.
	errPartial = toldStatus(exitPartial)
	// errTold says that the command failed.
	errTold = toldStatus(exitFailed)
	// errUsageTold says that the command was used wrongly.
	errUsageTold = toldStatus(exitUsage)
)

// status prints a command's error, unless it was told already, and returns the exit status.
func (a *app) status(err error) int {
	if err == nil {
		return exitOK
	}
	if told, ok := errors.AsType[toldStatus](err); ok {
		return int(told)
	}
	fmt.Fprintf(a.err, "enqueue: %s\n", explain(err))
	if wrongUsage(err) {
		return exitUsage
	}
	return exitFailed
}

func wrongUsage(err error) bool {
	return redisconn.Is[*usageError](err) || redisconn.Is[*config.Error](err) || redisconn.Is[*control.SelectionError](err) || redisconn.Is[*wolkvox.ServerError](err) || redisconn.Is[*engine.CallError](err) ||
		errors.Is(err, ledger.BatchPolicy) || errors.Is(err, ledger.BatchCanary) || errors.Is(err, ledger.BatchPath) ||
		errors.Is(err, control.ErrChainID) || errors.Is(err, engine.ErrPart)
}

// badFile reports whether a file has a fault that would make the same command fail again.
func badFile(err error) bool {
	file, ok := errors.AsType[*rows.FileError](err)
	return ok && file.Err == nil
}

// stopWords say why a run over rows stopped, and what its exit status is.
func stopWords(ctx context.Context, err error) (why string, told toldStatus) {
	told = errTold
	if ctx.Err() == nil && wrongUsage(err) {
		told = errUsageTold
	}
	return explain(err), told
}

// explain puts an error into words. For an error of Redis they say what to do next.
func explain(err error) string {
	switch file, ofFile := errors.AsType[*rows.FileError](err); {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case control.Unread(err) > 0:
		return control.UnreadWords(err)
	case ofFile && file.BadText:
		return err.Error() + ": " + badTextAdvice
	case ofFile, redisconn.Is[*fs.PathError](err), redisconn.Is[*os.LinkError](err), wrongUsage(err):
		return err.Error()
	}
	return redisconn.Describe(err)
}

// give shows what was found or done: v with --json, otherwise words. If err says that parts could not
// be read, it shows the rest and then returns err.
func (a *app) give(v any, err error, words func()) error {
	switch {
	case err != nil && control.Unread(err) == 0:
		return err
	case a.json:
		return errors.Join(writeJSON(a.out, v), err)
	}
	words()
	return err
}

// writeJSON writes v on a line of its own.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// local formats a time for people in a zone.
func local(t control.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	if zone != nil {
		t.Time = t.In(zone)
	}
	return t.Format("2006-01-02 15:04:05 -07")
}

func (a *app) local(t control.Time) string { return local(t, a.zone) }

// flagsAgain returns flags of a command to type again: those that were given, with the value in instead if it has one
// ("": left out).
func flagsAgain(cmd *cobra.Command, instead map[string]string, names ...string) (text string) {
	for _, name := range names {
		f := cmd.Flags().Lookup(name)
		value, is := instead[name]
		if !is && f.Changed {
			value = f.Value.String()
		}
		switch {
		case value == "", value == "false":
		case f.NoOptDefVal == "":
			text += " --" + name + " " + say.Quote(value)
		case f.NoOptDefVal == value:
			text += " --" + name
		default:
			text += " --" + name + "=" + value
		}
	}
	return text
}

// timeFlag is a time as --at takes it; "" for none.
func timeFlag(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// counts is a status on one line.
func counts(s control.Status) string {
	return say.List(fmt.Sprintf("%s of %s succeeded", say.Thousands(s.Succeeded), say.Thousands(s.Total)),
		say.Some(s.Failed, "failed"), say.Some(s.Skipped, "skipped"), say.Some(s.Cancelled, "cancelled"), say.Some(s.Open, "open"),
		say.Some(s.HeldChains, say.Word(s.HeldChains, "chain held", "chains held")))
}

// next says what a person can do about a settled batch, and how its canaries stand; "" if there
// is nothing to say.
func next(s control.Status) string {
	words := canaryWords(s)
	if s.HeldChains > 0 {
		words += "\nnext: enqueue chains --held   (why, and what to type)"
	} else if behind := behindOthers(s); behind != "" {
		words += "\nnext: " + behind
	}
	return strings.TrimPrefix(words, "\n")
}

// behindOthers says that calls of a settled batch wait for a decision about another one, and where to see it; "" if they don't.
func behindOthers(s control.Status) string {
	n := s.BehindOthers()
	if n == 0 {
		return ""
	}
	return say.Plural(n, "call waits", "calls wait") + " behind a call of another batch: enqueue chains --held"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
