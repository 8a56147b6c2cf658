package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"habilita/internal/control"
	"habilita/internal/redisconn"
	"habilita/internal/say"
)

// decisionJSON is what a decision did, as --json gives it.
type decisionJSON struct {
	Action string `json:"action"`
	Count  int    `json:"count"`
	Unread int    `json:"unread,omitempty"` // parts of the ledger that it did not reach
}

// decide makes cmd one of retry, skip and cancel; done is such as "retried".
func (a *app) decide(cmd *cobra.Command, done string, act func(*control.Control, context.Context, control.Selection) (int, error)) *cobra.Command {
	var sel control.Selection
	cmd.Use += " (--chain ID | --batch B | --server S | --all)"
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return usagef("%s takes no argument: did you mean --batch %s?", cmd.CommandPath(), say.Quote(args[0]))
	}
	cmd.PreRunE = func(*cobra.Command, []string) error { return sel.Check() }
	f := cmd.Flags()
	f.StringVar(&sel.Chain, "chain", "", "a chain, by its id (see chains)")
	f.StringVar(&sel.Batch, "batch", "", "what belongs to a batch")
	f.StringVar(&sel.Server, "server", "", "held chains whose head is a call to this server")
	f.BoolVar(&sel.All, "all", false, "all held chains")
	a.jsonFlag(cmd, `one JSON object: {"action","count"}`)
	_ = cmd.RegisterFlagCompletionFunc("batch", a.names(batchNames))
	return a.onRedis(cmd, redisconn.Operator, 0, func(ctx context.Context, s *session, _ []string) error {
		n, err := act(s.op, ctx, sel)
		return a.decided(cmd.Name(), n, err, func() {
			switch {
			case n > 0 || err != nil:
				fmt.Fprintf(a.out, "%s %s\n", done, say.Count(n, "call"))
				if sel.Batch != "" {
					fmt.Fprintf(a.out, "follow: enqueue watch %s\n", say.Quote(sel.Batch))
				}
			case sel.Batch != "" && cmd.Name() == "cancel":
				fmt.Fprintf(a.out, "batch %s had no open call: nothing was cancelled, and it takes no more rows (enqueue reopen %s opens it again)\n", sel.Batch, say.Quote(sel.Batch))
			default:
				fmt.Fprintln(a.out, "nothing matched: `enqueue chains --held` lists the chains that wait for a person")
			}
		})
	})
}

// decided tells what a decision did: words do for people. err may tell what it did not reach.
func (a *app) decided(action string, n int, err error, words func()) error {
	unread := control.Unread(err)
	switch {
	case err != nil && unread == 0:
		return err
	case a.json:
		return errors.Join(writeJSON(a.out, decisionJSON{action, n, unread}), err)
	}
	words()
	return err
}

// asPerson returns a context in which this user decides. What can't be written into the audit log
// is told on errw.
func asPerson(ctx context.Context, errw io.Writer) context.Context {
	return control.WithActor(ctx, control.Actor{Who: control.ThisUser(), Via: control.ByCLI, Told: func(_ control.AuditEntry, err error) {
		if err != nil {
			fmt.Fprintf(errw, "warning: what was done is not in the audit log: %v\n", explain(err))
		}
	}})
}

func (a *app) retry() *cobra.Command {
	return a.decide(&cobra.Command{
		Use:   "retry",
		Short: "Try again calls that were given up",
		Long: `Try calls again that were given up and that hold their chain, each with a new budget of
attempts. The command returns when the counts show what it did.`,
		Example: `  enqueue retry --batch november
  enqueue retry --chain 7vqk2m4xg5t3zr6hd2b2ncw5
  enqueue retry --server 0042`,
	}, "retried", (*control.Control).Retry)
}

func (a *app) skip() *cobra.Command {
	return a.decide(&cobra.Command{
		Use:   "skip",
		Short: "Leave calls that were given up, and go on with the next ones",
		Long: `Leave calls that were given up and that hold their chain, and go on with the calls behind them.
The command returns when the counts show what it did.`,
		Example: `  enqueue skip --chain 7vqk2m4xg5t3zr6hd2b2ncw5
  enqueue skip --batch november`,
	}, "skipped", (*control.Control).Skip)
}

func (a *app) cancel() *cobra.Command {
	return a.decide(&cobra.Command{
		Use:   "cancel",
		Short: "Cancel calls that have no result yet",
		Long: `Cancel calls that have no result yet: they are not made. A call that is at the vendor may end.

--batch cancels all calls of a batch and refuses later rows of it ("enqueue reopen" undoes
that). --chain cancels all calls of a chain, held or not. --server and --all cancel those of
held chains. The command returns when the counts show what it did.`,
		Example: `  enqueue cancel --batch november
  enqueue cancel --chain 7vqk2m4xg5t3zr6hd2b2ncw5`,
	}, "cancelled", (*control.Control).Cancel)
}

func (a *app) reopen() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reopen BATCH",
		Short: "Let a cancelled batch take rows again",
		Long: `Let a cancelled batch take rows again. Nothing is made by itself: give its file again. Calls
that were cancelled before they were sent are then new. Others stay cancelled.`,
		Example: `  enqueue reopen november
  enqueue bulk operations.csv --batch november`,
		Args:              exactly(1, "a batch"),
		ValidArgsFunction: a.names(batchNames),
	}
	a.jsonFlag(cmd, `one JSON object: {"action","count"}`)
	return a.onRedis(cmd, redisconn.Operator, 0, func(ctx context.Context, s *session, args []string) error {
		n, err := s.op.Reopen(ctx, control.Selection{Batch: args[0]})
		return a.decided("reopen", n, err, func() {
			if err != nil {
				fmt.Fprintf(a.out, "batch %s was reopened in part, so it takes no rows yet\n", args[0])
				return
			}
			fmt.Fprintf(a.out, "batch %s takes rows\n", args[0])
			if n > 0 {
				fmt.Fprintf(a.out, "it has %s: those that were not sent are new when the file is given again\nnext: enqueue bulk FILE --batch %s\n",
					say.Count(n, "cancelled call"), say.Quote(args[0]))
			}
		})
	})
}
