package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"habilita/internal/control"
	"habilita/internal/redisconn"
)

// decision is one of retry, skip and cancel.
type decision struct {
	name, short, long, example string
	done                       string // such as "retried"
	noun                       string // what is counted
	act                        func(*control.Control, context.Context, control.Selection) (int, error)
}

// decided is what a decision did, as --json gives it.
type decided struct {
	Action string `json:"action"`
	Count  int    `json:"count"`
	Unread int    `json:"unread,omitempty"` // parts of the ledger that it did not reach
}

func (a *app) decide(d decision) *cobra.Command {
	var sel control.Selection
	var asJSON bool
	cmd := &cobra.Command{
		Use:     d.name + " (--chain ID | --batch B | --server S | --all)",
		Short:   d.short,
		GroupID: groupAct,
		Long:    d.long,
		Example: d.example,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usagef("%s takes no argument: did you mean --batch %s?", cmd.CommandPath(), quoteArg(args[0]))
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := sel.Check(); err != nil {
				return err
			}
			s, err := a.openAs(cmd, redisconn.Operator)
			if err != nil {
				return err
			}
			defer s.close()
			n, err := d.act(s.op, cmd.Context(), sel)
			unread := control.Unread(err)
			if err != nil && unread == 0 {
				return err
			}
			if asJSON {
				return errors.Join(writeJSON(a.out, decided{d.name, n, unread}), err)
			}
			if n == 0 && err == nil {
				switch {
				case sel.Batch != "" && d.name == "cancel":
					fmt.Fprintf(a.out, "batch %s had no open call: nothing was cancelled, and it takes no more rows (enqueue reopen %s opens it again)\n", sel.Batch, quoteArg(sel.Batch))
				default:
					fmt.Fprintln(a.out, "nothing matched: `enqueue chains --held` lists the chains that wait for a person")
				}
				return nil
			}
			fmt.Fprintf(a.out, "%s %s\n", d.done, count(n, d.noun))
			if sel.Batch != "" {
				fmt.Fprintf(a.out, "follow: enqueue watch %s\n", quoteArg(sel.Batch))
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&sel.Chain, "chain", "", "a chain, by its id (see chains)")
	f.StringVar(&sel.Batch, "batch", "", "what belongs to a batch")
	f.StringVar(&sel.Server, "server", "", "held chains whose head is a call to this server")
	f.BoolVar(&sel.All, "all", false, "all held chains")
	f.BoolVar(&asJSON, "json", false, `one JSON object: {"action","count"}`)
	_ = cmd.RegisterFlagCompletionFunc("batch", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return a.batchNames(cmd), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
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
	return a.decide(decision{
		name:  "retry",
		short: "Try again calls that were given up",
		long: `Try calls again that were given up and that hold their chain, each with a new budget of
attempts. The command returns when the counts show what it did.`,
		example: `  enqueue retry --batch november
  enqueue retry --chain 7vqk2m4xg5t3zr6hd2b2ncw5
  enqueue retry --server 0042`,
		done: "retried", noun: "call", act: (*control.Control).Retry,
	})
}

func (a *app) skip() *cobra.Command {
	return a.decide(decision{
		name:  "skip",
		short: "Leave calls that were given up, and go on with the next ones",
		long: `Leave calls that were given up and that hold their chain, and go on with the calls behind them.
The command returns when the counts show what it did.`,
		example: `  enqueue skip --chain 7vqk2m4xg5t3zr6hd2b2ncw5
  enqueue skip --batch november`,
		done: "skipped", noun: "call", act: (*control.Control).Skip,
	})
}

func (a *app) cancel() *cobra.Command {
	return a.decide(decision{
		name:  "cancel",
		short: "Cancel calls that have no result yet",
		long: `Cancel calls that have no result yet: they are not made. A call that is at the vendor may end.

--batch cancels all calls of a batch and refuses later rows of it ("enqueue reopen" undoes
that). --chain cancels all calls of a chain, held or not. --server and --all cancel those of
held chains. The command returns when the counts show what it did.`,
		example: `  enqueue cancel --batch november
  enqueue cancel --chain 7vqk2m4xg5t3zr6hd2b2ncw5`,
		done: "cancelled", noun: "call", act: (*control.Control).Cancel,
	})
}

func (a *app) reopen() *cobra.Command {
	var asJSON bool
	d := decision{name: "reopen", noun: "cancelled call"}
	cmd := &cobra.Command{
		Use:     "reopen BATCH",
		Short:   "Let a cancelled batch take rows again",
		GroupID: groupAct,
		Long: `Let a cancelled batch take rows again. Nothing is made by itself: give its file again. Calls
that were cancelled before they were sent are then new. Others stay cancelled.`,
		Example: `  enqueue reopen november
  enqueue bulk operations.csv --batch november`,
		Args:              exactly(1, "a batch"),
		ValidArgsFunction: a.completeBatch,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.openAs(cmd, redisconn.Operator)
			if err != nil {
				return err
			}
			defer s.close()
			sel := control.Selection{Batch: args[0]}
			n, err := s.op.Reopen(cmd.Context(), sel)
			unread := control.Unread(err)
			if err != nil && unread == 0 {
				return err
			}
			if asJSON {
				return errors.Join(writeJSON(a.out, decided{d.name, n, unread}), err)
			}
			if err != nil {
				fmt.Fprintf(a.out, "batch %s was reopened in part, so it takes no rows yet\n", args[0])
				return err
			}
			fmt.Fprintf(a.out, "batch %s takes rows\n", args[0])
			if n > 0 {
				fmt.Fprintf(a.out, "it has %s: those that were not sent are new when the file is given again\nnext: enqueue bulk FILE --batch %s\n",
					count(n, d.noun), quoteArg(args[0]))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, `one JSON object: {"action","count"}`)
	return cmd
}
